"""What LLMServices become. `--update-golden` writes what is rendered now; the difference is then for review."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from tandem_operator import documents
from tandem_operator.api.component import SERVICE_MONITOR_API
from tandem_operator.api.engine import EngineSpec
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.quantity import total
from tandem_operator.api.rollout import Phase, RolloutStatus, Strategy
from tandem_operator.engines.base import EngineType
from tandem_operator.manifests import Platform, build, unknown_arguments
from tandem_operator.rollouts.objects import configured, rolled
from tandem_operator.rollouts.record import Record, Stage, Trial
from tandem_operator.rollouts.version import wanted
from tandem_operator.sizing.without_cluster import not_sized, sized

from tests.unit.charts.schemas import problems, unrestricted

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FOLDER = Path(__file__).parent
EXPECTED = FOLDER / "expected"
INPUTS = sorted(FOLDER.glob("*.yaml"))


def rendered(path: Path) -> list[dict[str, Any]]:
    platform = Platform(frozenset({SERVICE_MONITOR_API}))
    services = [item for item in documents.read(path) if isinstance(item, LLMService)]
    wrong = [[*unknown_arguments(service, platform), *not_sized(service)] for service in services]
    assert [line for lines in wrong for line in lines] == []
    return [manifest for service in services for manifest in objects(sized(service), platform)]


def objects(service: LLMService, platform: Platform) -> list[dict[str, Any]]:
    """What it becomes; where a candidate is tried, with one at its first step that is made of the same."""
    built = build(service, platform)
    if not service.spec.rollout.tries:
        return built
    deployments = {each["metadata"]["name"]: each for each in built if each["kind"] == "Deployment"}
    version = wanted(service, deployments[service.engine.name])
    trial = Trial(version=version, made=NOW, since=NOW, stage=Stage.JUDGED)
    record = Record(current=version, since=NOW, served=True, trial=trial)
    status = RolloutStatus(strategy=service.spec.rollout.strategy, phase=Phase.PROGRESSING, message="", revision="")
    return rolled(service, build(configured(service, record), platform), record, status, None)


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_a_service_becomes_what_it_became_before(path: Path, pytestconfig: pytest.Config) -> None:
    expected = EXPECTED / path.name
    objects = rendered(path)
    if pytestconfig.getoption("--update-golden"):
        expected.write_text(yaml.safe_dump_all(objects, sort_keys=False, width=120))
    assert list(yaml.load_all(expected.read_text(), yaml.CSafeLoader)) == objects


def test_updating_writes_what_is_rendered_now(
    pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "EXPECTED", tmp_path)
    monkeypatch.setattr(pytestconfig.option, "update_golden", True)
    test_a_service_becomes_what_it_became_before(INPUTS[0], pytestconfig)
    assert list(yaml.safe_load_all((tmp_path / INPUTS[0].name).read_text())) == rendered(INPUTS[0])


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_every_object_is_valid_and_every_pod_restricted(path: Path) -> None:
    for item in rendered(path):
        assert problems(item) == []
        if item["kind"] in ("Deployment", "Job"):
            pod = item["spec"]["template"]["spec"]
            assert list(unrestricted(pod)) == []
            assert pod["enableServiceLinks"] is False
            assert pod["automountServiceAccountToken"] is False
            (container,) = pod["containers"]
            has_accelerator = any("/" in resource for resource in container["resources"].get("limits", {}))
            assert container["securityContext"]["readOnlyRootFilesystem"] is not has_accelerator


def shared_memory(engine: EngineSpec) -> str:
    """What vLLM keeps of its KV cache is there, too."""
    if engine.kv_offload and engine.type is EngineType.VLLM:
        return total(engine.shared_memory, engine.kv_offload.size)
    return engine.shared_memory


def strategy(service: LLMService, name: str) -> dict[str, Any]:
    """None needs a spare accelerator but where the spec asks for it."""
    rollout = service.spec.rollout
    if name == service.engine.name and rollout.strategy is Strategy.RECREATE:
        return {"type": "Recreate"}
    surge = rollout.max_surge if name == service.engine.name else 0
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": 0 if surge else 1}}


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_probes_deadline_and_grace_agree_with_the_spec(path: Path) -> None:
    (service,) = [item for item in documents.read(path) if isinstance(item, LLMService)]
    engines = {engine.name: engine.spec for engine in service.engines}
    drain = service.spec.orchestrator.config.drain_seconds
    for item in rendered(path):
        if item["kind"] != "Deployment":
            continue
        spec, pod = item["spec"], item["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["terminationGracePeriodSeconds"] > container["lifecycle"]["preStop"]["sleep"]["seconds"] + drain
        if engine := engines.get(item["metadata"]["name"]):
            probe = container["startupProbe"]
            budget = probe["periodSeconds"] * probe["failureThreshold"]
            assert budget >= engine.startup_seconds
            assert container["livenessProbe"]["terminationGracePeriodSeconds"] < drain, (
                "one that hangs is not waited for"
            )
            assert spec["progressDeadlineSeconds"] > budget
            assert spec["strategy"] == strategy(service, item["metadata"]["name"])
            assert {"medium": "Memory", "sizeLimit": shared_memory(engine)} in [
                volume.get("emptyDir") for volume in pod["volumes"]
            ]
