"""Quantities, durations and model sources."""

from decimal import Decimal

import pytest
from pydantic import ValidationError
from tandem_operator.api.engine import EngineSpec
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.quantity import number, same_amount, seconds
from tandem_operator.api.source import Bucket, Claim, HuggingFace, ImageVolume, Source, parse
from tandem_operator.manifests import Platform
from tandem_operator.manifests.pod import pod


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1", 1), (2, 2), ("500m", "0.5"), ("1.5Gi", 1610612736), ("1k", 1000), ("2M", 2_000_000), ("0.5", "0.5")),
        *(("+1", 1), ("-1", -1), (".5", "0.5"), ("1.", 1), ("1e3", 1000), ("1E3", 1000), ("12e-1", "1.2")),
        *(("1E", 10**18), ("1Ei", 2**60), ("1u", "0.001"), ("100n", "0.001"), ("1e-99", "0.001"), ("0n", 0)),
        *(("10000P", 2**63 - 1), ("8Ei", 2**63 - 1), ("1e99", 2**63 - 1), ("-1e99", 1 - 2**63)),
    ],
)
def test_a_quantity_has_a_value(text: str | int, value: str | int) -> None:
    assert number(text) == Decimal(value)


@pytest.mark.parametrize(
    "text", ["", "lots", "1GB", "1 Gi", "1e", "1ee3", "e3", ".", "+", "1Gi\n", "1.2.3", "1e999", "E"]
)
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
    written = pod(service.engine, Platform())["affinity"]
    kept = {
        "topologyKey": "zone",
        "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]},
        "namespaceSelector": {},
    }
    preferred = [{"weight": 1, "podAffinityTerm": kept}]
    assert written == {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def test_amounts_are_compared_by_value() -> None:
    assert same_amount("1Gi", "1073741824")
    assert same_amount(1, "1000m")
    assert not same_amount("1Gi", "1G")
    assert not same_amount("lots", "lots")
    assert not same_amount(None, "1")


@pytest.mark.parametrize("amount", ["10000P", "2E", "-1", -1, "1" * 33, "0." + "0" * 31, True, 1.5])
def test_an_amount_out_of_range_is_refused(amount: object) -> None:
    with pytest.raises(ValidationError):
        EngineSpec.model_validate({"sharedMemory": amount})


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
