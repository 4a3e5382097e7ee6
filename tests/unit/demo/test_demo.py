from typing import Any

import pytest
import yaml

from hack import demo, images
from hack.hub import Model


def condition(status: str, generation: int = 1, reason: str = "Because") -> dict[str, Any]:
    return {"type": "Ready", "status": status, "reason": reason, "message": "m", "observedGeneration": generation}


def test_a_condition_is_said_when_it_turns_and_only_then() -> None:
    seen: dict[str, str] = {}
    assert demo.turned(seen, [condition("False")]) == ["Ready=False Because: m"]
    assert demo.turned(seen, [condition("False")]) == []
    assert demo.turned(seen, [condition("True")]) == ["Ready=True Because: m"]


def test_ready_is_about_the_newest_spec() -> None:
    assert demo.is_ready(2, [condition("True", generation=2)])
    assert not demo.is_ready(2, [condition("True", generation=1)])
    assert not demo.is_ready(2, [condition("False", generation=2)])


@pytest.fixture
def references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "reference", lambda name: f"tandem.local/{name}:abc")


def test_own_model_comes_from_an_image(references: None) -> None:
    spec = yaml.safe_load(demo.manifest(demo.own_model()))["spec"]
    assert spec["model"] == {"source": "oci://tandem.local/demo-model:abc", "name": "tandem-demo"}
    assert spec["engine"]["accelerator"] == "cpu"


def test_memory_follows_the_weights(references: None) -> None:
    small, large = (demo.hub_model(Model("org/m", size)) for size in (demo.GIB, 8 * demo.GIB))
    assert small.memory_limit < large.memory_limit
    assert large.memory_request > 8
    assert yaml.safe_load(demo.manifest(large))["spec"]["model"]["source"] == "hf://org/m"
