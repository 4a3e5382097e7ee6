"""Bad specs are refused by the API server itself, with a message that names the field."""

import pytest
import yaml

from tests.e2e.cluster import Json, refused

MODEL = {"source": "hf://org/name"}
BAD: list[tuple[Json, str]] = [
    ({"model": {"source": "org/name"}}, "spec.model.source"),
    ({"model": MODEL, "engine": {"gpus": -1}}, "spec.engine.gpus"),
    ({"model": MODEL, "engine": {"gpus": 4, "parallelism": {"tensor": 3}}}, "spec.engine"),
    ({"model": MODEL, "engine": {"type": "magic"}}, "spec.engine.type"),
    ({"model": MODEL, "engine": {"startupTimeout": "soon"}}, "spec.engine.startupTimeout"),
    ({"model": MODEL, "orchestrator": {"replicas": {"min": 5, "max": 2}}}, "spec.orchestrator.replicas"),
    (
        {"model": MODEL, "orchestrator": {"config": {"tools": {"maxRounds": 0}}}},
        "spec.orchestrator.config.tools.maxRounds",
    ),
    (
        {"model": MODEL, "orchestrator": {"config": {"keys": {"files": [{"file": "/keys.yaml"}]}}}},
        "spec.orchestrator.config.keys.files[0]",
    ),
    (
        {"model": MODEL, "orchestrator": {"config": {"database": {"url": "postgresql://me:secret@db/x"}}}},
        "spec.orchestrator.config.database.url",
    ),
    ({"model": MODEL, "orchestrater": {}}, "orchestrater"),
    ({}, "spec.model"),
]


@pytest.mark.parametrize(("spec", "field"), BAD, ids=[field for _, field in BAD])
def test_refused(spec: Json, field: str) -> None:
    document = {
        "apiVersion": "tandem.dev/v1alpha1",
        "kind": "LLMService",
        "metadata": {"name": "bad"},
        "spec": spec,
    }
    assert field in refused(yaml.safe_dump(document))
