"""The server's tools: what models give to them, and what they give to models."""

import json
from typing import Any

import pytest

from tests.engine_double import Call, Reply
from tests.sockets.guardrails.conftest import BADGE, MASK, rail
from tests.sockets.running import QUESTION
from tests.sockets.search_double import BUILT, ORDER, SEARCH, TOOL, SearchDouble

CHAT = "/v1/chat/completions"
MATH = {"tandem": {"tools": ["calculate_math"]}}
TOLD = "guardrail badges found badge"


class Say:
    """A tool that says a badge's number."""

    name, description, parameters = "say", "Say it", {"type": "object"}

    async def call(self, _: dict[str, Any]) -> str:
        return f"it is {BADGE}"


def given(engine, number=-1):
    """What the model was given by tools."""
    return [message["content"] for message in engine.seen[number].body["messages"] if message["role"] == "tool"]


def calls_in(engine, number=-1):
    messages = engine.seen[number].body["messages"]
    return [call["function"]["arguments"] for message in messages for call in message.get("tool_calls") or ()]


def calling(arguments):
    return lambda asked: Reply("done") if given_in(asked) else Reply("", (Call("calculate_math", arguments),))


def given_in(asked):
    return any(message["role"] == "tool" for message in asked["messages"])


async def ask(orchestrator, path=CHAT, *, stream=False, **fields):
    asked: dict[str, Any] = {"messages": QUESTION} if path == CHAT else {"input": "hi", "store": False}
    async with orchestrator.client.post(
        path, json={"model": "double", **asked, "stream": stream, **fields}
    ) as response:
        assert response.status == 200, await response.text()
        return await response.text()


WAYS = pytest.mark.parametrize(
    ("path", "stream"), [(CHAT, False), (CHAT, True), ("/v1/responses", False), ("/v1/responses", True)]
)


@WAYS
async def test_a_tool_does_not_run_with_what_is_blocked(guarded, engine, path, stream):
    engine.rule = calling(f'{{"expression": "1", "note": "{BADGE}"}}')
    orchestrator = await guarded(rail("block", "toolArguments"))
    text = await ask(orchestrator, path, stream=stream, **MATH)
    assert given(engine) == [f'{{"error":"calculate_math was not run: {TOLD} in its arguments"}}']
    assert calls_in(engine) == ["{}"]
    assert BADGE not in text


@WAYS
async def test_a_tool_runs_with_what_is_masked(guarded, engine, path, stream):
    engine.rule = calling('{"expression": "1+\\u0042-1234"}')
    orchestrator = await guarded(rail("mask", "toolArguments"))
    text = await ask(orchestrator, path, stream=stream, **MATH)
    assert [json.loads(arguments) for arguments in calls_in(engine)] == [{"expression": f"1+{MASK}"}]
    assert "error" in given(engine)[0]  # which is no expression
    assert "1234" not in text


@WAYS
async def test_a_result_is_withheld_or_masked(guarded, engine, path, stream):
    engine.rule = lambda asked: Reply("done") if given_in(asked) else Reply("", (Call("say", "{}"),))
    withheld = f'{{"error":"the result of say was withheld: {TOLD} in it"}}'
    for action, result in (("block", withheld), ("mask", f"it is {MASK}"), ("flag", f"it is {BADGE}")):
        orchestrator = await guarded(rail(action, "toolResults"))
        orchestrator.app.services.toolbox.add([Say()])
        text = await ask(orchestrator, path, stream=stream, tandem={"tools": ["say"]})
        assert given(engine) == [result]
        assert (BADGE in text) is (action == "flag" and path != CHAT)


@WAYS
async def test_a_passage_is_withheld_or_masked(guarded, engine, tmp_path, path, stream):
    engine.rule = lambda asked: Reply("done [2]") if given_in(asked) else Reply("", (SEARCH,))
    for action, wanted in (("block", f"This passage was withheld: {TOLD} in it."), ("mask", f"Order A{MASK}-X was")):
        orchestrator = await guarded(rail(action, "retrievedText"))
        SearchDouble(BUILT, ORDER).serve(orchestrator)
        include = {"include": ["file_search_call.results"]} if path != CHAT else {}
        text = await ask(orchestrator, path, stream=stream, tools=[TOOL], **include)
        (seen,) = given(engine)
        assert wanted in seen
        assert BUILT.text in seen
        assert BADGE not in seen + text


async def test_decisions_about_tools_are_told_with_the_answer(guarded, engine):
    engine.rule = lambda asked: Reply("done") if given_in(asked) else Reply("", (Call("say", "{}"),))
    orchestrator = await guarded(rail("mask", "toolResults"))
    orchestrator.app.services.toolbox.add([Say()])
    document = json.loads(await ask(orchestrator, tandem={"tools": ["say"]}))
    told = {"name": "badges", "on": "toolResults", "action": "mask", "kinds": ["badge"]}
    assert document["tandem"] == {"guardrails": [told]}
    document = json.loads(await ask(orchestrator, "/v1/responses", tandem={"tools": ["say"]}))
    assert document["tandem"] == {"guardrails": [told]}
