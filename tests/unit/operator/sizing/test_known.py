"""What is known of well-known models, beside what was measured and published."""

import json
from importlib.resources import files

import pytest
from tandem_operator import sizing as package
from tandem_operator.sizing.known import known
from tandem_operator.sizing.shape import ModelShape

from hack.generation import ROOT, SIZING, sizing
from hack.generation.marked import with_table
from hack.generation.sizing import MEASURED, PUBLISHED, Measured, Published

GIB = 2**30
CLOSE = 0.1


def test_names_are_unique_and_read_as_people_write_them() -> None:
    entries = json.loads(files(package).joinpath("known_models.json").read_text())
    names = [name.lower() for entry in entries for name in entry["names"]]
    assert len(names) == len(set(names))
    assert known("qwen/qwen3-32b") == known("Qwen/Qwen3-32B")
    assert known("nobody/nothing") is None


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda published: published.repository)
def test_figures_are_those_published_unless_it_is_told_why(published: Published) -> None:
    shape = published.shape
    agree = shape.bytes_per_token == published.bytes_per_token and shape.weights / GIB == pytest.approx(
        published.weights, rel=0.01
    )
    assert agree or published.why
    assert shape.bytes_per_token <= published.bytes_per_token
    assert len(shape.model_dump_json()) < 2048
    assert ModelShape.model_validate_json(shape.model_dump_json()) == shape


@pytest.mark.parametrize("measured", MEASURED, ids=lambda measured: f"{measured.repository} on {measured.tensor}")
def test_what_was_measured_is_met(measured: Measured) -> None:
    result = measured.plan
    weights = next(term.size for term in result.memory.taken if term.name == "weights")
    assert weights / GIB == pytest.approx(measured.weights, rel=CLOSE)
    assert result.memory.room / GIB == pytest.approx(measured.room, rel=CLOSE)
    if measured.kv_tokens:
        assert result.kv_tokens == pytest.approx(measured.kv_tokens, rel=CLOSE)


def test_the_page_says_what_is_reckoned() -> None:
    page = (ROOT / SIZING).read_text()
    fresh = with_table(page, "measured", sizing.MEASURED_HEADER, sizing.measured())
    assert with_table(fresh, "sizes", sizing.HEADER, sizing.rows()) == page, "run hack/generate"
