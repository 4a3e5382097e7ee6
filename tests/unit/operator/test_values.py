"""Quantities, durations and model sources."""

from decimal import Decimal

import pytest
from tandem_operator.api.engine import EngineSpec
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.naming import Tier
from tandem_operator.api.quantity import number, seconds
from tandem_operator.api.source import Bucket, Claim, HuggingFace, ImageVolume, Source, parse
from tandem_operator.manifests import Platform
from tandem_operator.manifests.pod import pod


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), (2, 2), ("500m", "0.5"), ("1.5Gi", 1610612736), ("1k", 1000), ("2M", 2_000_000), ("0.5", "0.5")],
)
def test_a_quantity_has_a_value(text: str | int, value: str | int) -> None:
    assert number(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "lots", "1GB", "-1", "1 Gi", "1e3"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        number(text)


def test_an_affinity_is_passed_on_as_kubernetes_stores_it() -> None:
    term = {
        "topologyKey": "zone",
        "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": []}]},
        "namespaceSelector": {},
        "namespaces": [],
    }
    affinity = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [],
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}],
        }
    }
    service = LLMService.model_validate(
        {"metadata": {"name": "a"}, "spec": {"model": {"source": "hf://a/b"}, "engine": {"affinity": affinity}}}
    )
    written = pod(service, Tier.ENGINE, service.spec.engine, Platform())["affinity"]
    kept = {
        "topologyKey": "zone",
        "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]},
        "namespaceSelector": {},
    }
    preferred = [{"weight": 1, "podAffinityTerm": kept}]
    assert written == {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("1h1m1s", 3661)])
def test_a_duration_has_seconds(text: str, value: int) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(
    ("uri", "source", "name"),
    [
        ("hf://org/name", HuggingFace("org/name", None), "org/name"),
        ("hf://org/name@v1.0", HuggingFace("org/name", "v1.0"), "org/name"),
        ("pvc://claim", Claim("claim", ""), "claim"),
        ("pvc://claim/a/b/", Claim("claim", "a/b"), "b"),
        ("oci://host:5000/a/model:1", ImageVolume("host:5000/a/model:1"), "model"),
        ("oci://host/model@sha256:" + "0" * 64, ImageVolume("host/model@sha256:" + "0" * 64), "model"),
        ("s3://bucket/a/llama/", Bucket("s3://bucket/a/llama"), "llama"),
    ],
)
def test_a_source_is_read_and_names_the_model(uri: str, source: Source, name: str) -> None:
    assert parse(uri) == source
    assert parse(uri).name == name


@pytest.mark.parametrize(
    ("engine", "gpus", "tensor"),
    [
        ({}, 1, 1),
        ({"gpus": 4}, 4, 4),
        ({"parallelism": {"tensor": 4}}, 4, 4),
        ({"parallelism": {"tensor": 4, "pipeline": 2}}, 8, 4),
        ({"parallelism": {"pipeline": 2}}, 2, 1),
        ({"gpus": 8, "parallelism": {"pipeline": 2}}, 8, 4),
        ({"gpus": 8, "parallelism": {"tensor": 2, "pipeline": 4}}, 8, 2),
        ({"accelerator": "cpu"}, 0, 1),
        ({"accelerator": "cpu", "parallelism": {"tensor": 2}}, 0, 2),
    ],
)
def test_accelerators_and_parallelism_have_defaults(engine: dict[str, object], gpus: int, tensor: int) -> None:
    spec = EngineSpec.model_validate(engine)
    assert (spec.gpu_count, spec.tensor_parallel) == (gpus, tensor)
