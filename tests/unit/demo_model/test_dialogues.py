import json
import random

import pytest

from hack.demo_model import dialogues, documents, tools
from hack.demo_model.dialogues import Dialogue, Message
from hack.demo_model.split import held_out

MANY = 400


@pytest.fixture(scope="module")
def many() -> list[Dialogue]:
    rng = random.Random(1)
    return [dialogues.dialogue(rng) for _ in range(MANY)]


def calls(messages: list[Message]) -> list[dict[str, str]]:
    """The arguments of the calls that name one thing each; file_search's are questions as they were asked."""
    made = [call["function"] for message in messages for call in message.get("tool_calls") or []]
    return [call["arguments"] for call in made if call["name"] != tools.SEARCH]


def said_last(dialogue: Dialogue) -> str:
    return str(dialogue.messages[-1]["content"])


def test_the_same_state_makes_the_same_dialogue() -> None:
    assert dialogues.dialogue(random.Random(5)) == dialogues.dialogue(random.Random(5))


def test_arguments_are_copied_from_the_question(many: list[Dialogue]) -> None:
    for dialogue in many:
        for question, reply in zip(dialogue.messages, dialogue.messages[1:], strict=False):
            for arguments in calls([reply]):
                symbols = question["content"]
                for spoken, symbol in (("plus", "+"), ("minus", "-"), ("times", "*"), ("divided by", "/")):
                    symbols = symbols.replace(spoken, symbol)
                copied = arguments.get("location", arguments.get("expression", "?"))
                assert copied in question["content"] or copied in symbols


def test_training_shows_no_held_out_value(many: list[Dialogue]) -> None:
    shown = [value for dialogue in many for value in dialogue.told.values()]
    asked = [argument for dialogue in many for call in calls(dialogue.messages) for argument in call.values()]
    places = [value for value in asked if not any(mark in value for mark in "0123456789") and value.islower() is False]
    assert len(shown) > 50
    assert len(places) > 50
    assert not [value for value in (*shown, *places) if held_out(value)]


def test_what_is_found_answers_the_question(many: list[Dialogue]) -> None:
    answered = 0
    for dialogue in many:
        for question, call, found, answer in zip(*(dialogue.messages[n:] for n in range(4)), strict=False):
            if any(made["function"]["name"] == tools.SEARCH for made in call.get("tool_calls") or ()):
                assert call["tool_calls"][0]["function"]["arguments"] == {"queries": [question["content"]]}
                assert answer["content"] in found["content"] or (answer["content"] == documents.UNKNOWN)
                answered += 1
    assert answered > 50


def test_only_offered_tools_are_called(many: list[Dialogue]) -> None:
    for dialogue in many:
        made = {call["function"]["name"] for m in dialogue.messages for call in m.get("tool_calls") or []}
        assert made <= tools.names(dialogue.tools)


def test_every_call_has_one_result_right_after_it(many: list[Dialogue]) -> None:
    for dialogue in many:
        for i, message in enumerate(dialogue.messages):
            expected = len(message.get("tool_calls") or ())
            following = [m["role"] for m in dialogue.messages[i + 1 : i + 2 + expected]]
            if expected:
                assert following == ["tool"] * expected + ["assistant"]


def test_two_calls_failures_and_long_dialogues_all_occur(many: list[Dialogue]) -> None:
    assert any(len(m.get("tool_calls") or ()) == 2 for d in many for m in d.messages)
    assert any("tool failed" in (m["content"] or "") for d in many for m in d.messages)
    assert any(sum(m["role"] == "user" for m in d.messages) >= 5 for d in many)


def test_a_missing_tool_is_answered_plainly() -> None:
    dialogue = Dialogue([])
    dialogues.use_tools(random.Random(1), dialogue)
    assert [message["role"] for message in dialogue.messages] == ["user", "assistant"]
    assert said_last(dialogue).startswith("I cannot")


def test_the_answer_repeats_the_result_as_it_was_returned() -> None:
    rng = random.Random(2)
    answered = 0
    for _ in range(MANY):
        task = dialogues.calculation(rng)
        if "failed" in task.answer:
            continue
        value = task.answer.removesuffix(".").rsplit(" is ", 1)[1]
        assert value in task.returned
        answered += 1
    assert answered > MANY / 2


def test_a_fact_is_repeated_in_the_latest_spelling() -> None:
    rng = random.Random(3)
    dialogue = Dialogue([])
    for _ in range(5):
        dialogues.tell_fact(rng, dialogue)
    dialogue.told = {"name": dialogue.told.get("name", "Ada")}
    for _ in range(20):
        dialogues.ask_fact(rng, dialogue)
    assert any(dialogue.told["name"] in (message["content"] or "") for message in dialogue.messages[10:])


def test_tool_arguments_are_json(many: list[Dialogue]) -> None:
    for dialogue in many:
        for arguments in calls(dialogue.messages):
            assert json.loads(json.dumps(arguments)) == arguments
