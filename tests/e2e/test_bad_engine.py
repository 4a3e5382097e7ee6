"""An engine that is no good is tried beside the one that serves, given up by itself, and costs no request."""

import json
from functools import partial

import pytest

from hack import images
from tests.e2e.cluster import Json, Namespace, eventually
from tests.e2e.conftest import ENGINE_SECONDS, long_run
from tests.e2e.test_no_request_lost import BESIDE, CANDIDATE, ENGINE, rollout_of, uids
from tests.e2e.traffic import Traffic

ANOTHER_FAMILY_S = "{% for message in messages %}[INST] {{ message['content'] }} [/INST]{% endfor %}"
ENGINES: dict[str, tuple[Json, str]] = {
    "image": ({"image": images.reference("orchestrator")}, "vllm"),
    "parser": ({"toolCalling": {"parser": "pythonic"}}, "set toolCalling.parser to hermes"),
    "template": ({"toolCalling": {"chatTemplate": ANOTHER_FAMILY_S}}, "set toolCalling.chatTemplate"),
    "slow": ({"extraArgs": ["--enforce-eager", "--max-num-batched-tokens=2"], "maxNumSeqs": 1}, "first tokens took"),
}
"""What is wrong with an engine, and what the cause of its end must tell."""
GIVEN_UP_SECONDS = ENGINE_SECONDS + 500
"""It starts, answers three questions, and is judged for five minutes."""
GONE_SECONDS = 300


@long_run
@pytest.mark.parametrize("fault", ENGINES)
def test_a_bad_engine_is_given_up_while_the_other_serves(service: Namespace, traffic: Traffic, fault: str) -> None:
    fields, cause = ENGINES[fault]
    kept = (service.get("llmservice", "demo") or {})["spec"]
    before = uids(service, ENGINE)
    service.change("demo", {"rollout": {"strategy": "BlueGreen"}, "engine": {"env": BESIDE, **fields}})
    try:
        eventually(partial(is_rolled_back, service), within=GIVEN_UP_SECONDS, what="it is given up")
        assert cause in rollout_of(service)["message"]
        eventually(lambda: not service.pods(CANDIDATE), within=GONE_SECONDS, what="its pods are gone")
        assert service.is_ready("demo")
        figures = traffic(f"bad engine: {fault}")
        assert list(figures.ended) == []
        assert uids(service, ENGINE) == before, "the engine was restarted"
    finally:
        back = json.dumps([{"op": "replace", "path": "/spec/engine", "value": kept["engine"]}])
        service.kubectl("patch", "llmservice", "demo", "--type=json", "--patch", back)
        eventually(lambda: rollout_of(service)["phase"] == "Complete", within=GONE_SECONDS, what="it is forgotten")


def is_rolled_back(service: Namespace) -> bool:
    return rollout_of(service).get("phase") == "RolledBack"
