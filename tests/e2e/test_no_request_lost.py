"""Updates, deaths and new keys of the engine, and upgrades of the operator, cost clients time and not one request.

Each test prints a row of figures. There is one update and one death, in the commonest way; with `make test-rollouts`
there are twenty and ten, in every way.
"""

import os
import signal
import subprocess
import uuid
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tandem_operator.api.llmservice import ROTATE_KEY

from hack import images, install, tools
from tests.e2e.cluster import OPERATOR, Json, Namespace, eventually
from tests.e2e.conftest import ENGINE_SECONDS, IS_LONG, LOCAL
from tests.e2e.traffic import Traffic, wait_for_answers

ON_A_CPU = {"timeToFirstTokenRatio": 20}
"""Two engines that share two cores keep each other waiting."""
STRATEGIES: dict[str, Json | None] = {
    "default": None,
    "RollingUpdate": {"strategy": "RollingUpdate", "maxSurge": 1},
    "Recreate": {"strategy": "Recreate"},
    "BlueGreen": {"strategy": "BlueGreen", "thresholds": ON_A_CPU},
    "Canary": {"strategy": "Canary", "thresholds": ON_A_CPU, "steps": [{"weight": 50, "duration": "20s"}]},
}
BESIDE = [
    {"name": "VLLM_CPU_KVCACHE_SPACE", "value": "1"},
    {"name": "VLLM_CPU_OMP_THREADS_BIND", "value": "nobind"},
]
"""Two engines that bind their threads to the same core starve each other, and the one that starts gets nothing."""
UPDATES = {"default": 4, "RollingUpdate": 7, "Recreate": 5, "BlueGreen": 2, "Canary": 2} if IS_LONG else {"default": 1}
DEATHS = {"core": 5, **({"container": 5} if LOCAL else {})} if IS_LONG else {"core": 1}
ENGINE = "tandem.dev/llmservice=demo,tandem.dev/tier=engine"
CANDIDATE = "tandem.dev/llmservice=demo,tandem.dev/tier=engine-next"
OPERATORS = "app.kubernetes.io/name=tandem-operator"
UPDATE_SECONDS = 2 * ENGINE_SECONDS + 900
"""A candidate starts, is judged for five minutes, and then the engine itself starts."""
REPAIR_SECONDS = 120
KILL_CORE = """
import os, pathlib, signal
found = [p.name for p in pathlib.Path("/proc").glob("[0-9]*") if (p / "cmdline").read_bytes().startswith(b"VLLM::Eng")]
for number in found:
    os.kill(int(number), signal.SIGKILL)
print(*found)
"""


@pytest.mark.parametrize(("strategy", "times"), UPDATES.items())
def test_updates_of_the_engine(service: Namespace, traffic: Traffic, strategy: str, times: int) -> None:
    engine = {"env": BESIDE} if strategy in ("RollingUpdate", "BlueGreen", "Canary") else {}
    service.change("demo", {"rollout": None})  # or fields of the strategy before stay
    for number in range(times):
        change(service, f"{strategy}-{number}", engine, rollout=STRATEGIES[strategy])
        wait_for_answers(service)
    figures = traffic(f"{times} updates, {strategy}")
    assert list(figures.ended) == []


@pytest.mark.parametrize(("victim", "times"), DEATHS.items())
def test_deaths_of_the_engine(service: Namespace, traffic: Traffic, victim: str, times: int) -> None:
    if restarts(service):
        change(service, victim, {})  # the kubelet waits longer each time before it starts the same pod's container
    for number in range(times):
        before = restarts(service)
        (kill_core if victim == "core" else kill_container)(service)
        eventually(partial(has_died, service, before), within=ENGINE_SECONDS, what=f"death {number} is noticed")
        eventually(lambda: serves(service), within=ENGINE_SECONDS, what="the engine is back")
        wait_for_answers(service)
    traffic(f"{times} times killed, {victim}")


@pytest.mark.parametrize("how", ["annotation", *(["Secret"] if IS_LONG else [])])
def test_another_key_of_the_engine(service: Namespace, traffic: Traffic, how: str) -> None:
    before, engines, orchestrators = key_of(service), uids(service, ENGINE), orchestrator(service)
    if how == "annotation":
        service.kubectl("annotate", "llmservice", "demo", "--overwrite", f"{ROTATE_KEY}={uuid.uuid4().hex}")
    else:
        service.kubectl("delete", "secret", "demo-engine-key")
    eventually(lambda: key_of(service) not in (None, before), within=REPAIR_SECONDS, what="there is another key")
    eventually(
        lambda: engines.isdisjoint(uids(service, ENGINE)) and is_back(service),
        within=UPDATE_SECONDS,
        what="the engine has it",
    )
    figures = traffic(f"another key, {how}")
    assert list(figures.ended) == []
    assert orchestrator(service) == orchestrators, "new ones would cut off who waits at these"


def test_an_upgrade_of_the_operator(service: Namespace, traffic: Traffic) -> None:
    before, operators = (uids(service, ENGINE), orchestrator(service)), uids(OPERATOR, OPERATORS)
    upgrade("podAnnotations.upgrade", uuid.uuid4().hex)
    eventually(lambda: operators.isdisjoint(uids(OPERATOR, OPERATORS)), within=REPAIR_SECONDS, what="the old one ends")
    service.kubectl("delete", "poddisruptionbudget", "demo-orchestrator")
    eventually(
        lambda: service.get("poddisruptionbudget", "demo-orchestrator"),
        within=REPAIR_SECONDS,
        what="the new operator acts",
    )
    figures = traffic("operator upgraded")
    assert list(figures.ended) == []
    assert (uids(service, ENGINE), orchestrator(service)) == before


def test_a_release_with_another_engine_waits_until_it_is_asked_for(service: Namespace, traffic: Traffic) -> None:
    before, default = uids(service, ENGINE), images.reference("engine-cpu")
    upgrade("images.engineCpu", f"{default}-next")
    try:
        eventually(
            lambda: rollout_of(service).get("phase") == "UpdatePending",
            within=REPAIR_SECONDS,
            what="the status tells of the update",
        )
        assert "image" in rollout_of(service)["message"]
        figures = traffic("release with another engine")
    finally:
        upgrade("images.engineCpu", default)
    assert list(figures.ended) == []
    assert uids(service, ENGINE) == before


def change(service: Namespace, update: str, engine: Json, **spec: Any) -> None:
    """Update the engine and wait until that is done."""
    update = f"{update}-{uuid.uuid4().hex[:4]}"
    service.change("demo", {"engine": {**engine, "podAnnotations": {"update": update}}, **spec})
    eventually(partial(is_updated, service, update), within=UPDATE_SECONDS, what=f"{update} is complete")


def upgrade(value: str, to: str) -> None:
    """Upgrade the operator's release, with one value of its chart changed, and wait until it runs."""
    release = ["upgrade", install.RELEASE, str(install.CHART), f"--namespace={install.NAMESPACE}", "--reuse-values"]
    settings = [f"--set={value}={to}", "--force-conflicts", "--wait", "--timeout=3m"]
    command = [str(tools.ensure("helm") / "helm"), *release, *settings]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def uids(service: Namespace, selector: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in service.pods(selector)}


def orchestrator(service: Namespace) -> str:
    """What orchestrators' pods are made from; how many there are is the autoscaler's matter."""
    return service.kubectl("get", "deployment", "demo-orchestrator", "--output=jsonpath={.spec.template}")


def is_updated(service: Namespace, update: str) -> bool:
    """Whether the engine's pods, and no others, are those of an update."""
    marks = [(pod["metadata"].get("annotations") or {}).get("update") for pod in service.pods(ENGINE)]
    return marks == [update] and is_back(service) and not service.pods(CANDIDATE)


def is_back(service: Namespace) -> bool:
    """Whether the engine serves and the status says so; for ten minutes it holds three ends against an engine."""
    return serves(service) and service.is_ready("demo")


def serves(service: Namespace) -> bool:
    """Whether the engine's one pod is ready."""
    (pod, *others) = service.pods(ENGINE) or [{}]
    conditions = pod.get("status", {}).get("conditions") or []
    return not others and any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)


def restarts(service: Namespace) -> int:
    """How often containers of the engine were started again."""
    (pod,) = service.pods(ENGINE)
    return sum(each["restartCount"] for each in pod["status"]["containerStatuses"])


def has_died(service: Namespace, before: int) -> bool:
    return restarts(service) > before


def kill_core(service: Namespace) -> None:
    """Kill the process that generates; vLLM's server then ends by itself."""
    (pod,) = service.pods(ENGINE)
    name = pod["metadata"]["name"]
    killed = service.kubectl("exec", name, "--container=engine", "--", "python3", "-c", KILL_CORE)
    assert killed.split(), "the engine has no process of its core's name"


def kill_container(service: Namespace) -> None:
    """Kill all processes at once, from the node, as the kernel does where memory is short."""
    (pod,) = service.pods(ENGINE)
    (container,) = pod["status"]["containerStatuses"]
    number = container["containerID"].rpartition("/")[2]
    killed = 0
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        with suppress(FileNotFoundError, ProcessLookupError):  # those in a container end with its first
            if number in path.read_text():
                os.kill(int(path.parent.name), signal.SIGKILL)
                killed += 1
    assert killed, f"no process is in container {number}"


def rollout_of(service: Namespace) -> Json:
    """What the status says of the engine's roll-out."""
    found: Json = (service.get("llmservice", "demo") or {}).get("status", {}).get("rollout") or {}
    return found


def key_of(service: Namespace) -> str | None:
    found = service.get("secret", "demo-engine-key") or {}
    key: str | None = found.get("data", {}).get("api-key")
    return key
