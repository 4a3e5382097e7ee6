"""What LLMServices become. `--update-golden` writes what is rendered now; the difference is then for review."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tandem_operator import documents
from tandem_operator.api.component import SERVICE_MONITOR_API
from tandem_operator.api.engine import EngineSpec
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.quantity import total
from tandem_operator.engines.base import EngineType
from tandem_operator.manifests import Platform, build, unknown_arguments
from tandem_operator.sizing.without_cluster import not_sized, sized

from tests.unit.charts.schemas import problems, unrestricted

FOLDER = Path(__file__).parent
EXPECTED = FOLDER / "expected"
INPUTS = sorted(FOLDER.glob("*.yaml"))


def rendered(path: Path) -> list[dict[str, Any]]:
    platform = Platform(frozenset({SERVICE_MONITOR_API}))
    services = [item for item in documents.read(path) if isinstance(item, LLMService)]
    wrong = [[*unknown_arguments(service, platform), *not_sized(service)] for service in services]
    assert [line for lines in wrong for line in lines] == []
    return [manifest for service in services for manifest in build(sized(service), platform)]


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
            assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
            assert {"medium": "Memory", "sizeLimit": shared_memory(engine)} in [
                volume.get("emptyDir") for volume in pod["volumes"]
            ]
