"""Outputs by a pydantic model of an installed package, found by its entry point."""

import pytest
from tandem_orchestrator.app import App
from tandem_orchestrator.check import report
from tandem_orchestrator.config import ConfigError, Found
from tandem_orchestrator.tasks.output import OutputClassError, output_class

from tests.sockets.installed import installed
from tests.sockets.tasks.conftest import FITS, GIVEN, TICKET, says, with_tasks

MODULE = """
from collections.abc import Callable
from datetime import date
from typing import Literal

from pydantic import BaseModel, Field, field_validator


class Analysis(BaseModel):
    category: Literal["billing", "other"]
    summary: str = Field(alias="summary")
    due: date | None = None

    @field_validator("summary")
    @classmethod
    def short(cls, value):
        if len(value.split()) > 3:
            raise ValueError("use three words at most")
        return value


class Large(BaseModel):
    choice: Literal[tuple(str(n) for n in range(5000))]


class Opaque(BaseModel):
    call: Callable[[], None]


nothing = object()


def leave():
    raise SystemExit("no licence")
"""
POINTS = """
[tandem.tasks]
analysis = tandem_outputs:Analysis
large = tandem_outputs:Large
lost = tandem_outputs:Lost
nothing = tandem_outputs:nothing
opaque = tandem_outputs:Opaque
"""


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    with installed(tmp_path, monkeypatch, "tandem_outputs", MODULE, POINTS):
        yield


def task(name):
    return {**TICKET, "output": None, "outputClass": name}


async def test_the_words_of_its_validators_are_what_the_model_is_told(serve, engine, ask):
    orchestrator = await serve(with_tasks(engine, task("analysis")))
    engine.replies += [says({**FITS, "summary": "This has far too many words."}), says({**FITS, "due": "2026-01-31"})]
    status, answer = await ask(orchestrator, input=GIVEN)
    assert (status, answer["output"]) == (200, {**FITS, "due": "2026-01-31"})
    first, second = (seen.body for seen in engine.seen)
    schema = first["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["category"]["enum"] == ["billing", "other"]
    assert "summary: Value error, use three words at most" in second["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("absent", "there are: analysis, large, lost, nothing, opaque"),
        ("large", "tandem_outputs:Large has no schema for an engine: properties.choice.enum: has more than 4000"),
        ("opaque", "tandem_outputs:Opaque has no schema for an engine: Cannot generate a JsonSchema"),
        ("nothing", "tandem_outputs:nothing is no pydantic model"),
        ("lost", "tandem_outputs:Lost failed: AttributeError"),
    ],
)
def test_what_is_wrong_with_one_is_told_at_its_place(engine, name, problem):
    with pytest.raises(OutputClassError, match=problem):
        output_class(name)
    lines = report(with_tasks(engine, task(name)), Found())
    assert any("tasks.0.outputClass: " in line and problem in line for line in lines)
    with pytest.raises(ConfigError, match=r"tasks\.0\.outputClass"):
        App(with_tasks(engine, task(name)))
