"""Whether an engine calls tools: found out once for each of its starts, for those who run the service."""

import asyncio

import pytest
from prometheus_client import generate_latest
from tandem_contract import metrics as names
from tandem_orchestrator.engines.tool_calling import verification

from tests.engine_double import EngineDouble, tool_calling
from tests.engine_double.reply import Reply
from tests.sockets.running import config_for, until, until_awaited

READY = "/ready?tool_calling=engine"


def config(*engines, **settings):
    upstreams = [
        {"name": f"engine{n or ''}", "url": engine.url, "type": engine.kind, "model": engine.model}
        for n, engine in enumerate(engines)
    ]
    return config_for(upstreams=upstreams, **settings)


async def told(orchestrator, path=READY):
    status, ready = await orchestrator.get(path)
    assert status == 200
    return ready["tool_calling"]


async def verdict(orchestrator):
    """What is told of the one replica, once it is told."""
    await until_awaited(lambda: told(orchestrator), lambda entries: entries[0]["verified"] is not None)
    (entry,) = await told(orchestrator)
    return entry["verified"], entry["reason"], entry["message"]


async def test_an_engine_that_is_right(serve, engine, lines):
    engine.rule = tool_calling.well
    orchestrator = await serve(config(engine))
    (entry,) = await told(orchestrator)
    assert entry == {
        "upstream": "engine",
        "address": engine.url.removeprefix("http://"),
        "verified": True,
        "reason": "Verified",
        "message": "a tool call, a streamed one and a JSON schema came back right",
    }
    whole, streamed, schema = (seen.body for seen in engine.seen)
    assert (whole["stream"], streamed["stream"]) == (False, True)
    assert {**whole, "stream": True} == streamed
    assert whole["tool_choice"] == "auto"
    assert "tools" not in schema
    assert {body["max_tokens"] for body in (whole, streamed, schema)} == {1024}
    assert {body["temperature"] for body in (whole, streamed, schema)} == {0}
    assert all("priority" not in body for body in (whole, streamed, schema)), "most engines would refuse it"
    assert [line["path"] for line in lines] == ["/ready"], "no request of anybody's"


async def test_it_is_found_out_once(serve, engine, monkeypatch):
    monkeypatch.setattr(verification, "PAUSE_SECONDS", 0.0)
    engine.rule = tool_calling.well
    orchestrator = await serve(config(engine))
    for _ in range(3):
        assert await verdict(orchestrator) == await verdict(orchestrator)
    assert len(engine.seen) == 3


async def test_many_who_ask_at_once_have_it_found_out_once(serve, engine):
    engine.rule = tool_calling.well
    orchestrator = await serve(config(engine))
    answers = await asyncio.gather(*(told(orchestrator) for _ in range(8)))
    assert [entries[0]["verified"] for entries in answers] == [True] * 8
    assert len(engine.seen) == 3


async def test_nobody_who_does_not_ask_costs_anything(serve, engine):
    orchestrator = await serve(config(engine, keys={"values": ["k"]}))
    assert "tool_calling" not in (await orchestrator.get("/ready", authorization="Bearer k"))[1]
    assert (await orchestrator.get(READY))[1] == {"status": "ready"}, "not told without a key"
    assert await told_with_key(orchestrator, "/ready?tool_calling=nothing") == []
    assert engine.seen == []


async def told_with_key(orchestrator, path):
    return (await orchestrator.get(path, authorization="Bearer k"))[1]["tool_calling"]


async def test_servers_of_others_are_never_asked(serve, engine):
    upstream = {"name": "engine", "url": engine.url, "type": "openai", "model": engine.model}
    orchestrator = await serve(config_for(upstreams=[upstream]))
    assert await told(orchestrator) == []
    assert engine.seen == []


WRONG = {
    "as text": (
        "as_text",
        "ParserMismatch",
        '<tool_call> {"name": "get_current_weather"',
        "toolCalling.parser to hermes",
    ),
    "in words": ("in_words", "NoToolCall", "“It is sunny in Paris.”", "toolCalling.chatTemplate"),
    "broken arguments": ("broken_arguments", "InvalidArguments", '{"location": "Par', "toolCalling.parser"),
    "broken stream": ("broken_stream", "StreamBroken", '{"location": "Par', "not streamed"),
    "streamed as text": ("streamed_as_text", "StreamBroken", "<tool_call>", "toolCalling.parser to hermes"),
    "no schemas": ("without_schemas", "SchemaIgnored", "“Red.”", "structuredOutputs.backend"),
    "refused": ("refusing", "EngineError", "--enable-auto-tool-choice", "correct toolCalling"),
    "failed": ("failing", "EngineError", "no tool call token", "correct toolCalling"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
async def test_what_is_wrong_is_told_with_what_to_change(serve, engine, wrong):
    rule, reason, quoted, change = wrong
    engine.rule = getattr(tool_calling, rule)
    verified, why, message = await verdict(await serve(config(engine)))
    assert (verified, why) == (False, reason)
    assert quoted in message
    assert change in message


async def test_an_engine_without_room_is_asked_again_later(serve, engine, monkeypatch):
    monkeypatch.setattr(verification, "PAUSE_SECONDS", 0.05)
    engine.rule = tool_calling.busy
    orchestrator = await serve(config(engine))
    (entry,) = await told(orchestrator)
    assert (entry["verified"], entry["reason"]) == (None, "NotVerified")
    assert "at work" in entry["message"]
    engine.rule = tool_calling.well
    assert (await verdict(orchestrator))[0] is True


async def test_one_that_fails_is_asked_again_but_not_at_once(serve, engine):
    engine.rule = tool_calling.failing
    orchestrator = await serve(config(engine))
    assert (await verdict(orchestrator))[0] is False
    for _ in range(3):
        await told(orchestrator)
    assert len(engine.seen) == 1


async def test_one_that_takes_long_is_told_of_later(serve, engine, monkeypatch):
    monkeypatch.setattr(verification, "WAIT_SECONDS", 0.01)
    engine.rule, engine.gate = tool_calling.well, asyncio.Semaphore(0)
    orchestrator = await serve(config(engine))
    for _ in range(2):
        (entry,) = await told(orchestrator)
        assert (entry["verified"], entry["message"]) == (None, "it was not asked since it started")
    for _ in range(3):
        engine.gate.release()
    assert (await verdict(orchestrator))[0] is True
    assert len(engine.seen) == 3


async def test_one_that_never_answers_is_given_up(serve, engine, monkeypatch):
    monkeypatch.setattr(verification, "MOST_SECONDS", 0.05)
    engine.rule = lambda _: Reply(fault="hang", fault_after=0)
    orchestrator = await serve(config(engine))
    (entry,) = await told(orchestrator)
    assert (entry["verified"], entry["message"]) == (None, "no answers within 0.05 s; it is asked again")
    await until(lambda: engine.running == 0)


async def test_a_start_is_verified_anew(serve, engine, monkeypatch):
    monkeypatch.setattr(verification, "APART_SECONDS", 0.0)
    monkeypatch.setattr(verification, "PAUSE_SECONDS", 0.0)
    engine.rule = tool_calling.well
    orchestrator = await serve(config(engine))
    assert (await verdict(orchestrator))[0] is True
    (replica,) = orchestrator.upstreams.all[0].replicas
    engine.stop()
    await until(lambda: not replica.ready)
    (entry,) = await told(orchestrator)
    assert (entry["verified"], entry["reason"]) == (None, "NotVerified")
    assert "it is not ready: " in entry["message"]
    engine.rule = tool_calling.as_text
    await engine.start()
    await until(lambda: replica.ready)
    assert (await verdict(orchestrator))[:2] == (False, "ParserMismatch")


async def test_starts_one_after_the_other_are_not_each_verified(serve, engine, monkeypatch):
    monkeypatch.setattr(verification, "APART_SECONDS", 0.0)
    engine.rule = tool_calling.well
    orchestrator = await serve(config(engine))
    assert (await verdict(orchestrator))[0] is True
    (replica,) = orchestrator.upstreams.all[0].replicas
    engine.stop()
    await until(lambda: not replica.ready)
    await engine.start()
    await until(lambda: replica.ready)
    (entry,) = await told(orchestrator)
    assert (entry["verified"], entry["message"]) == (None, "it was not asked since it started")
    assert len(engine.seen) == 3


async def test_each_engine_is_told_of_and_only_those_that_were_asked_for(serve, engine):
    async with EngineDouble() as second, EngineDouble() as third:
        for each, rule in ((engine, "well"), (second, "as_text"), (third, "well")):
            each.rule = getattr(tool_calling, rule)
        orchestrator = await serve(config(engine, second, third))
        entries = await told(orchestrator, f"{READY}&tool_calling=engine1")
        assert [(entry["upstream"], entry["verified"]) for entry in entries] == [("engine", True), ("engine1", False)]
        assert third.seen == []


async def test_a_short_context_is_kept_to(serve, engine):
    engine.rule, engine.context = tool_calling.well, 512
    orchestrator = await serve(config(engine))
    assert (await verdict(orchestrator))[0] is True
    assert {seen.body["max_tokens"] for seen in engine.seen} == {256}


async def test_it_comes_last_where_the_engine_orders_its_requests(serve, engine):
    engine.rule, engine.priorities = tool_calling.well, True
    upstream = {"name": "engine", "url": engine.url, "type": "vllm", "model": engine.model, "priority": True}
    orchestrator = await serve(config_for(upstreams=[upstream]))
    assert (await verdict(orchestrator))[0] is True
    assert {seen.body["priority"] for seen in engine.seen} == {1}


async def test_it_counts_against_nobody(serve, engine):
    engine.rule = tool_calling.well
    orchestrator = await serve(config(engine))
    assert (await orchestrator.chat())[0] == 200
    before = counted()
    assert before
    assert (await verdict(orchestrator))[0] is True
    assert counted() == before


def counted():
    """What metrics tell of tokens."""
    return [line for line in generate_latest().decode().splitlines() if line.startswith(names.TOKENS)]
