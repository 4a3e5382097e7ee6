"""What makes an engine another one, and what does not."""

from typing import Any

import pytest
from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests import Images, Platform
from tandem_operator.manifests.engine import deployment
from tandem_operator.manifests.engine.model_cache import with_cached
from tandem_operator.rollouts.version import Version, changed, wanted, with_key


def version(images: Images | None = None, key: str | None = None, **spec: Any) -> Version:
    metadata = {"name": "demo", "namespace": "ns", "uid": "u"}
    service = LLMService.model_validate({"metadata": metadata, "spec": {"model": {"source": "hf://o/m"}, **spec}})
    platform = Platform(images=images or Images())
    return wanted(service, next(iter(deployment.build(with_cached(service), platform, key))))


ALIKE: dict[str, dict[str, Any]] = {
    "replicas": {"engine": {"replicas": 3}},
    "drains of nodes": {"engine": {"podDisruptionBudget": {"maxUnavailable": 1}}},
    "the orchestrator": {"orchestrator": {"image": "x:1", "config": {"hold": {"seconds": 5}}}},
    "the key": {"key": "another"},
    "what is the default": {"engine": {"startupTimeout": "30m"}},
    "the roll-out": {"rollout": {"strategy": "Canary"}},
}


@pytest.mark.parametrize("spec", ALIKE.values(), ids=ALIKE.keys())
def test_what_needs_no_other_pods_is_no_other_version(spec: dict[str, Any]) -> None:
    assert version(**spec) == version()


OTHER: dict[str, dict[str, Any]] = {
    "an image": {"engine": {"image": "x:1"}},
    "an argument": {"engine": {"extraArgs": ["--x"]}},
    "the model": {"model": {"source": "hf://o/n"}},
    "memory": {"engine": {"resources": {"limits": {"memory": "9Gi"}}}},
}


@pytest.mark.parametrize("spec", OTHER.values(), ids=OTHER.keys())
def test_what_needs_other_pods_is_another_version(spec: dict[str, Any]) -> None:
    other = version(**spec)
    assert other.mark != version().mark
    assert other.inputs != version().inputs


def test_another_release_s_image_is_another_template_of_the_same_spec() -> None:
    other = version(Images(engine_nvidia="other:1"))
    assert other.inputs == version().inputs
    assert "spec.containers[engine].image" in changed(version().template, other.template)


def test_time_to_drain_is_no_change_of_the_spec_s_engine() -> None:
    other = version(orchestrator={"config": {"drainSeconds": 99}})
    assert other.inputs == version().inputs
    assert "spec.terminationGracePeriodSeconds" in changed(version().template, other.template)


def test_pods_are_stamped_with_their_key() -> None:
    stamped = with_key(version().template, "abc")
    assert stamped["metadata"]["annotations"] == {"tandem.dev/engine-key": "abc"}
    assert with_key(stamped, None) == version().template


def test_the_orchestrator_is_told_the_same_of_it_elsewhere() -> None:
    upstream = version().upstream_at("http://there:8000", name="engine-next", candidate_of="engine", weight=10)
    assert (upstream.url, upstream.model, upstream.candidate_of, upstream.weight) == (
        "http://there:8000",
        "o/m",
        "engine",
        10,
    )
