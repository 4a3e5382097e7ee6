"""The evaluation judges what an engine answers; here a scripted engine answers."""

import json
import random
import socket
from functools import cache
from typing import Any

import pytest

from hack.demo_model import evaluate
from hack.demo_model.engine import Engine
from hack.demo_model.split import held_out

skills = cache(evaluate.skills)  # drawing all of them takes a while


class Scripted(Engine):
    """Answers every request with the same message."""

    def __init__(self, **message: Any) -> None:
        super().__init__("http://nowhere", "scripted")
        object.__setattr__(self, "message", {"content": None, "tool_calls": [], **message})

    def reply(self, *_: Any) -> dict[str, Any]:
        message: dict[str, Any] = self.__dict__["message"]
        return message


def call(expression: str) -> dict[str, Any]:
    return {"function": {"name": "calculate_math", "arguments": json.dumps({"expression": expression})}}


def test_a_call_counts_only_with_the_right_arguments() -> None:
    case = evaluate.Case([], [], calls=(("calculate_math", {"expression": "1 + 2"}),))
    assert not case.miss(Scripted(tool_calls=[call("1 + 2")]))
    assert "1 + 3" in case.miss(Scripted(tool_calls=[call("1 + 3")]))
    assert case.miss(Scripted(content="3"))
    assert case.miss(Scripted(tool_calls=[call("1 + 2"), call("1 + 2")]))


def test_a_text_counts_only_when_it_is_exact() -> None:
    case = evaluate.Case([], [], text="The result of 1 - 2 is -1.")
    assert not case.miss(Scripted(content="The result of 1 - 2 is -1."))
    assert case.miss(Scripted(content="The result of 1 - 2 is 1."))
    assert case.miss(Scripted(tool_calls=[call("1 - 2")]))


def test_a_record_counts_only_when_it_is_complete() -> None:
    case = evaluate.Case([], [], schema=evaluate.RECORD_SCHEMA)
    assert not case.miss(Scripted(content='{"title": "a", "priority": "low", "count": 1}'))
    assert case.miss(Scripted(content='{"title": "a'))
    assert case.miss(Scripted(content='{"title": "a"}'))


@pytest.mark.parametrize("skill", evaluate.RANDOM_SKILLS)
def test_random_skills_have_a_hundred_cases_that_differ(skill: str) -> None:
    cases = skills()[skill]
    assert len(cases) == evaluate.CASES
    assert len({json.dumps(case.messages) for case in cases}) > evaluate.CASES * 0.6


@pytest.mark.parametrize("skill", evaluate.NEEDED)
def test_required_skills_ask_for_values_that_training_never_shows(skill: str) -> None:
    for case in skills()[skill]:
        [(_, arguments)] = case.calls
        assert all(map(held_out, arguments.values()))


def test_the_demo_s_own_sentences_are_measured() -> None:
    assert [case.text for case in evaluate.demo_sentences() if case.text] == ["The result of 123 * 456 is 56088."] * 2


def test_figures_do_not_depend_on_the_hour() -> None:
    first = evaluate.calculate_calls(random.Random("7 calculate_math calls 0"))
    assert first == skills()["calculate_math calls"][0]


@pytest.mark.parametrize(("right", "code"), [(95, 0), (94, 1)])
def test_the_exit_code_follows_the_required_figures(
    right: int, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [evaluate.Case([], [], text="yes")] * right + [evaluate.Case([], [], text="no")] * (100 - right)
    monkeypatch.setattr(evaluate, "skills", lambda: {"calculate_math calls": cases})
    assert evaluate.measure(Scripted(content="yes"), show_misses=False) == code
    assert f"{right} of 100" in capsys.readouterr().out


def test_an_engine_that_does_not_answer_is_said_plainly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        monkeypatch.setattr("sys.argv", ["evaluate", "--base-url", url])
        assert evaluate.main() == 2
    assert f"{url} does not answer" in capsys.readouterr().err
