"""What an engine's Deployment keeps of the decision that was made for it."""

import json
from typing import Any

import pytest
from tandem_operator.sizing.record import ANNOTATION, Record, former, last, recorded

from tests.unit.operator.sizing.test_decision import UNSIZED, decided, engine_of

ENGINE = engine_of(gpus="auto")


def record() -> Record:
    found = decided(ENGINE).record
    assert found
    return found


def annotated(text: Any) -> dict[str, Any]:
    return {"metadata": {"name": "demo-engine", "annotations": {ANNOTATION: text}}}


def test_a_record_is_read_as_it_was_written() -> None:
    deployment = recorded(UNSIZED, {"demo-engine": record()})
    assert former(deployment, ENGINE) == last(deployment) == record()
    assert len(deployment["metadata"]["annotations"][ANNOTATION]) < 2048


def test_other_annotations_stay_and_other_objects_have_none() -> None:
    records = {"demo-engine": record()}
    marked = {"kind": "Deployment", "metadata": {"name": "demo-engine", "annotations": {"a": "b"}}}
    assert recorded(marked, records)["metadata"]["annotations"].keys() == {"a", ANNOTATION}
    assert marked["metadata"] == {"name": "demo-engine", "annotations": {"a": "b"}}
    for other in (
        {"kind": "Service", "metadata": {"name": "demo-engine"}},
        {"kind": "Deployment", "metadata": {"name": "demo"}},
    ):
        assert recorded(other, records) == other
    assert recorded(UNSIZED, {"demo-engine": None}) == UNSIZED


def test_what_a_later_release_adds_is_passed_over() -> None:
    later = {**json.loads(record().model_dump_json()), "colour": "red"}
    assert last(annotated(json.dumps(later))) == record()


def changed(**fields: Any) -> str:
    return json.dumps({**json.loads(record().model_dump_json()), **fields})


HOSTILE = {
    "nothing": "",
    "no JSON": "{",
    "null": "null",
    "a list": "[]",
    "deep": "[" * 100_000,
    "no GPUs": changed(gpus=0),
    "too many": changed(gpus=65),
    "text": changed(gpus="all"),
    "endless": changed(gpus=10**400),
    "no memory": changed(gpu_memory=-1),
    "no shape": changed(shape={}),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_annotation_that_somebody_has_spoiled_is_none(text: str) -> None:
    assert last(annotated(text)) is None
    assert decided(ENGINE, deployment=annotated(text)).reason == "Sized", "it is decided again"


@pytest.mark.parametrize("deployment", [None, {}, {"metadata": {}}, {"metadata": {"annotations": None}}])
def test_a_deployment_without_annotations_has_none(deployment: Any) -> None:
    assert last(deployment) is None
