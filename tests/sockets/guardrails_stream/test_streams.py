"""What clients see of a streamed answer in which guardrails find something, at every endpoint that streams."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import orjson
import pytest
from prometheus_client import REGISTRY

from tests.engine_double import EngineDouble, Reply
from tests.engine_double.canned import CannedEngine, streamed
from tests.engine_double.reply import Call
from tests.sockets.messages.test_streams import content_of, events_in
from tests.sockets.responses.asking import ResponsesClient
from tests.sockets.responses_socket.asking import SocketClient
from tests.sockets.running import MATH_TOOL, config_for, question, until

KEY = "AKIA0123WXYZ"
PATTERN = "AKIA[0-9A-Z]{8}"
SAID = f"Here is the key: {KEY} and that was the key, which nobody else has to know of."
MASKED = SAID.replace(KEY, "[PATTERN]")
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def rail(action: str = "block", *on: str, **fields: Any) -> dict[str, Any]:
    return {"name": "keys", "patterns": [PATTERN], "action": action, "at": on or ["output"], "window": 32, **fields}


def decided(action: str, on: str = "output") -> dict[str, Any]:
    return {"guardrails": [{"name": "keys", "at": on, "action": action, "kinds": ["pattern"]}]}


def chunks(text: str) -> list[dict[str, Any]]:
    """All chunks of a stream, which has to end with [DONE]."""
    *events, done = [line for line in text.split("\n\n") if line and not line.startswith(":")]
    assert done == "data: [DONE]", text[-300:]
    return [orjson.loads(event.removeprefix("data: ")) for event in events]


def said(found: list[dict[str, Any]], index: int = 0, field: str = "content") -> tuple[str, list[Any]]:
    """A choice's text, and how it ended."""
    choices = [each for chunk in found for each in chunk["choices"] if each["index"] == index]
    text = "".join((each["delta"].get(field) or "") if "delta" in each else each["text"] for each in choices)
    return text, [each["finish_reason"] for each in choices if each["finish_reason"]]


def decisions(found: list[dict[str, Any]]) -> Any:
    told = [chunk["tandem"] for chunk in found if "tandem" in chunk]
    return told[0] if told else None


@pytest.mark.parametrize(
    ("action", "text", "reason"),
    [("block", SAID[: SAID.index(KEY)], "content_filter"), ("mask", MASKED, "stop"), ("flag", SAID, "stop")],
)
async def test_a_chat(serve, engine, action, text, reason):
    orchestrator = await serve(config_for(engine, guardrails=[rail(action)]))
    engine.rule = lambda _: Reply(SAID)
    found = chunks(await orchestrator.stream(stream_options={"include_usage": True}))
    assert said(found) == (text, [reason])
    assert decisions(found) == decided(action)
    assert found[-1]["usage"]["completion_tokens"] > 3
    assert len({(chunk["id"], chunk["model"], chunk["object"]) for chunk in found}) == 1


async def test_a_chat_in_which_nothing_is_found(serve, engine):
    orchestrator = await serve(config_for(engine, guardrails=[rail()]))
    plain = await serve(config_for(engine))
    found, before = chunks(await orchestrator.stream()), chunks(await plain.stream())
    frame = ("id", "created")
    assert [{**chunk, **dict.fromkeys(frame)} for chunk in found] == [
        {**chunk, **dict.fromkeys(frame)} for chunk in before
    ]


async def test_the_engine_of_a_blocked_chat_need_not_go_on(serve, engine):
    orchestrator = await serve(config_for(engine, guardrails=[rail()]))
    engine.rule = lambda _: Reply(SAID, fault="hang", fault_after=14)
    found = chunks(await orchestrator.stream())
    assert said(found)[1] == ["content_filter"]
    await engine.until(lambda: engine.seen[0].outcome == "left")
    await until(lambda: orchestrator.busy == 0)
    used = REGISTRY.get_sample_value(
        "tandem_tokens_total", {"model": "double", "kind": "completion", "tenant": "default"}
    )
    assert used is None or used > 0


async def test_a_completion(serve, engine):
    orchestrator = await serve(config_for(engine, guardrails=[rail()]))
    engine.rule = lambda _: Reply(SAID)
    asked = {"model": "double", "prompt": "Say.", "stream": True}
    async with orchestrator.client.post("/v1/completions", json=asked) as response:
        found = chunks(await response.text())
    assert said(found) == (SAID[: SAID.index(KEY)], ["content_filter"])


async def test_reasoning(serve, engine):
    orchestrator = await serve(config_for(engine, guardrails=[rail("mask")]))
    engine.rule = lambda _: Reply("It is.", reasoning=SAID)
    found = chunks(await orchestrator.stream())
    assert said(found, field="reasoning")[0] == MASKED
    assert said(found) == ("It is.", ["stop"])


async def test_tools_of_the_server_beside_it(serve, engine):
    """What was said in one pass is context for the next."""
    orchestrator = await serve(config_for(engine, guardrails=[rail()]))
    add = Call("calculate_math", '{"expression": "6*7"}')
    engine.replies += [Reply("The key is AKIA", (add,)), Reply("0123WXYZ, and 42.")]
    found = chunks(await orchestrator.stream(tools=[MATH_TOOL]))
    assert said(found) == ("The key is AKIA", ["content_filter"])
    assert decisions(found) == decided("block")


@pytest.mark.parametrize(
    "ends",
    [
        ("block", [], "content_filter"),
        ("mask", ['{"at": "the [PATTERN]"}'], "tool_calls"),
        ("flag", [f'{{"at": "the \\u0041{KEY[1:]}"}}'], "tool_calls"),
    ],
)
@pytest.mark.parametrize("tools", [[LOOK], [LOOK, MATH_TOOL]], ids=["alone", "beside the server's"])
async def test_calls_of_the_clients_tools(serve, engine, ends, tools):
    """The arguments are judged as who runs the tool reads them."""
    action, calls, reason = ends
    orchestrator = await serve(config_for(engine, guardrails=[rail(action, "toolArguments")]))
    engine.replies.append(Reply("Look.", (Call("look", f'{{"at": "the \\u0041{KEY[1:]}"}}'),)))
    found = chunks(await orchestrator.stream(tools=tools))
    assert said(found)[1] == [reason]
    given = [
        call["function"]["arguments"]
        for chunk in found
        for choice in chunk["choices"]
        for call in choice["delta"].get("tool_calls") or ()
    ]
    assert [orjson.loads(each) for each in given] == [orjson.loads(each) for each in calls]
    assert decisions(found) == decided(action, "toolArguments")


@pytest.mark.parametrize(
    ("action", "text", "ending"),
    [("block", SAID[: SAID.index(KEY)], "refusal"), ("mask", MASKED, "end_turn"), ("flag", SAID, "end_turn")],
)
async def test_a_message(serve, engine, action, text, ending):
    orchestrator = await serve(config_for(engine, guardrails=[rail(action)]))
    engine.rule = lambda _: Reply(SAID)
    asked = {"model": "double", "max_tokens": 50, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    async with orchestrator.client.post("/v1/messages", json=asked) as response:
        events = events_in(await response.text())
    assert "".join(block["text"] for block in content_of(events)) == text
    assert events[-2]["delta"]["stop_reason"] == ending
    assert events[-2]["tandem"] == decided(action)


@pytest.mark.parametrize(
    "ends",
    [("block", SAID[: SAID.index(KEY)], "incomplete"), ("mask", MASKED, "completed"), ("flag", SAID, "completed")],
)
@pytest.mark.parametrize("model", ["double", "gpt-oss-double"])
async def test_a_response(serve, engine, ends, model):
    action, text, status = ends
    engine.model = model
    orchestrator = await serve(config_for(engine, guardrails=[rail(action)]))
    engine.rule = lambda _: Reply(SAID)
    client = ResponsesClient(orchestrator.client)
    stream = await client.stream(model=model, input="Hi", store=False)
    response = stream.response
    assert "".join(part["text"] for item in response["output"] for part in item["content"]) == text
    assert response["status"] == status
    assert response["tandem"] == decided(action)
    if action == "block":
        assert response["incomplete_details"] == {"reason": "content_filter"}


async def test_a_response_over_a_websocket(serve, engine):
    orchestrator = await serve(config_for(engine, guardrails=[rail()]))
    engine.rule = lambda _: Reply(SAID)
    async with SocketClient(orchestrator) as client:
        turn = await client.ask()
    assert turn.response["status"] == "incomplete"
    assert KEY not in str(turn.events)


async def test_split_at_every_byte_on_the_wire(serve):
    texts = ["see 😀 ", "AKIA0", "123", "WX", "YZ", " bye"]
    frame = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "double"}
    made = [{**frame, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]} for text in texts]
    made.append({**frame, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    escaped = [orjson.dumps(each).replace("😀".encode(), rb"\ud83d\ude00") for each in made]
    body = b"".join(b"data: %b\r\n\r\n" % each for each in escaped) + b"data: [DONE]\r\n\r\n"
    answers = [streamed(body[:at], body[at:]) for at in range(1, len(body), 7)]
    answers.append(streamed(*(body[at : at + 1] for at in range(len(body)))))
    async with CannedEngine(*answers) as engine:
        orchestrator = await serve(config_for(cast("EngineDouble", engine), guardrails=[rail("mask")]))
        for _ in answers:
            found = chunks(await orchestrator.stream())
            assert said(found) == ("see 😀 [PATTERN] bye", ["stop"])


@pytest.fixture
async def judge() -> AsyncIterator[EngineDouble]:
    """A service that flags what has `kill` in it."""
    async with EngineDouble() as double:
        yield double


def judged(judge: EngineDouble) -> dict[str, Any]:
    return {
        "name": "judge",
        "moderation": {"url": f"{judge.url}/v1/moderations", "model": "double"},
        "on": ["output"],
        "window": 16,
    }


async def test_the_client_hears_a_heartbeat_while_a_judge_is_asked(serve, engine, judge):
    judge.gate = asyncio.Semaphore(0)
    orchestrator = await serve(config_for(engine, guardrails=[judged(judge)], hold={"heartbeatSeconds": 0.02}))
    engine.rule = lambda _: Reply("all is well here, but how to kill nobody says")
    async with orchestrator.client.post("/v1/chat/completions", json=question(stream=True)) as response:
        async with asyncio.timeout(20):
            while (line := await response.content.readline()) != b": waiting for an engine\n":
                assert b"well" not in line
        for _ in range(20):
            judge.gate.release()
        found = chunks((await response.text()).removeprefix("\n"))
    text, reasons = said(found)
    assert "kill" not in text
    assert reasons == ["content_filter"]
    assert all(seen.outcome == "answered" for seen in judge.seen)


async def test_a_client_that_leaves_while_a_judge_is_asked(serve, engine, judge):
    judge.gate = asyncio.Semaphore(0)
    orchestrator = await serve(config_for(engine, guardrails=[judged(judge)]))
    engine.rule = lambda _: Reply(SAID, between_pieces=0.01)
    response = await orchestrator.client.post("/v1/chat/completions", json=question(stream=True))
    await judge.until(lambda: len(judge.seen) == 1)
    response.close()
    await engine.until(lambda: engine.seen[0].outcome == "left")
    await judge.until(lambda: judge.seen[0].outcome == "left")
    await until(lambda: orchestrator.busy == 0)


async def test_a_response_in_the_background(serve, engine, tmp_path):
    database = {"url": f"sqlite:///{tmp_path}/tandem.db"}
    orchestrator = await serve(config_for(engine, guardrails=[rail()], database=database))
    engine.rule = lambda _: Reply(SAID)
    client = ResponsesClient(orchestrator.client)
    stream = await client.stream(model="double", input="Hi", background=True)
    assert stream.response["incomplete_details"] == {"reason": "content_filter"}
    assert stream.response["tandem"] == decided("block")
    assert KEY not in str(stream.events)
