"""manifests/compose.yaml hangs together: images, ports, files, names, and a configuration that is valid."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tandem_contract.config import OrchestratorConfig
from tandem_contract.names import METRICS_PORT
from tandem_operator.manifests import Images

MANIFESTS = Path(__file__).parents[3] / "manifests"
COMPOSE = yaml.safe_load((MANIFESTS / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
STATE = "/var/lib/tandem"


def engines() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in SERVICES.items() if name.startswith("engine")}


def volumes() -> Iterator[tuple[str, str, str]]:
    """(service, source, target) of every mount."""
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            source, target = mount.split(":")[:2]
            yield name, source, target


def test_images_are_those_of_the_operator() -> None:
    images = Images()
    assert SERVICES["engine-cpu"]["image"] == images.engine_cpu
    assert SERVICES["engine-gpu"]["image"] == images.engine_nvidia
    assert SERVICES["orchestrator"]["image"] == images.orchestrator
    assert all(re.search(r":v?\d+\.\d+\.\d+$", service["image"]) for service in SERVICES.values())


def test_a_profile_starts_one_engine_which_has_the_same_address_in_both() -> None:
    assert [engine["profiles"] for engine in engines().values()] == [["cpu"], ["gpu"]]
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == {"orchestrator", "prometheus"}
    assert all(engine["networks"]["default"]["aliases"] == ["engine"] for engine in engines().values())
    (device,) = SERVICES["engine-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    assert "deploy" not in SERVICES["engine-cpu"]


def test_every_service_is_watched_and_comes_back() -> None:
    for name, service in SERVICES.items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["restart"] == "unless-stopped", name


def test_nothing_is_open_to_other_machines_and_the_engine_to_nobody() -> None:
    published = {name: service.get("ports", []) for name, service in SERVICES.items()}
    assert published["orchestrator"] == ["127.0.0.1:8001:8001", "127.0.0.1:8002:8002"]
    assert published["prometheus"] == ["127.0.0.1:9090:9090"]
    assert not any(published[name] for name in engines())


def test_volumes_and_files_exist() -> None:
    for name, source, _ in volumes():
        found = (MANIFESTS / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
        assert found, f"{name}: {source}"
    assert {source for _, source, _ in volumes() if not source.startswith(".")} == set(COMPOSE["volumes"])


def test_the_image_lets_its_user_write_where_the_state_is() -> None:
    dockerfile = (MANIFESTS.parent / "orchestrator" / "Dockerfile").read_text()
    assert ("orchestrator", "state", STATE) in list(volumes())
    assert f"install -d -o 10001 -g 0 -m 775 {STATE}\nWORKDIR {STATE}\n" in dockerfile
    assert "USER 10001:10001" in dockerfile


def test_the_orchestrator_takes_its_configuration() -> None:
    assert ("orchestrator", "./compose", "/etc/tandem") in list(volumes())
    config = OrchestratorConfig.model_validate(yaml.safe_load((MANIFESTS / "compose" / "config.yaml").read_text()))
    (upstream,) = config.upstreams
    assert upstream.url == "http://engine:8000"
    assert SERVICES["orchestrator"]["environment"]["TANDEM_SERVER__METRICS_PORT"] == str(METRICS_PORT)
    assert SERVICES["orchestrator"]["environment"]["MODEL_ID"] in str(SERVICES["engine-cpu"]["command"])


def test_prometheus_asks_services_that_are_there() -> None:
    config = yaml.safe_load((MANIFESTS / "compose" / "prometheus.yaml").read_text())
    asked = {
        target for job in config["scrape_configs"] for group in job["static_configs"] for target in group["targets"]
    }
    assert asked == {f"orchestrator:{METRICS_PORT}", "engine:8000"}
    (mounted,) = [target for name, source, target in volumes() if source == "./compose/prometheus.yaml"]
    assert f"--config.file={mounted}" in SERVICES["prometheus"]["command"]


@pytest.mark.parametrize("name", ["engine-cpu", "engine-gpu", "orchestrator"])
def test_open_requests_may_end(name: str) -> None:
    drain = OrchestratorConfig.model_fields["drain_seconds"].default
    assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > drain
