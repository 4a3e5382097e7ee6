"""Messages of one connection: which are taken, how many wait, and in which order they are answered."""

import asyncio
from typing import Any

import orjson
import pytest
from tandem_orchestrator.responses import memory
from websockets.exceptions import ConnectionClosed

from tests.engine_double import Reply
from tests.sockets.responses_socket.asking import SocketClient, asked
from tests.sockets.responses_socket.shared import NOT_FOUND, heard
from tests.sockets.running import question
from tests.sockets.search_double import BUILT, SEARCH, TOOL, SearchDouble


async def test_two_that_come_at_once_are_answered_one_after_the_other(orchestrator, engine):
    engine.replies += [Reply("one two three", between_pieces=0.01), Reply("four")]
    async with SocketClient(orchestrator) as client:
        await client.send("first")
        await client.send("second")
        assert [(await client.turn()).text for _ in range(2)] == ["one two three", "four"]
    first, second = engine.seen
    assert second.arrived >= first.ended


async def test_the_second_of_two_continues_the_first_as_it_ended(orchestrator, engine):
    engine.replies.append(Reply("one", before_first_byte=0.05))
    async with SocketClient(orchestrator) as client:
        await client.send("first")
        begun = await client.event()
        await client.send("second", previous_response_id=begun["response"]["id"])
        await client.turn()
        assert (await client.turn()).text
    assert heard(engine.seen[-1]) == ["first", "one", "second"]


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (b"{}", None),
        ("", None),
        ("{", None),
        ("[]", None),
        ("{}", "type"),
        ('{"type": "response.cancel"}', "type"),
        *[
            (orjson.dumps(asked(**{name: value})).decode(), name)
            for name, value in {
                "stream": False,
                "stream_options": {},
                "background": False,
                "stream_id": "a",
                "generate": 0,
                "input": 3,
            }.items()
        ],
        ('{"type": "response.create", "model": "double"}', "input"),
        ("[" * 500 + "]" * 500, None),
    ],
)
async def test_a_message_that_is_none_is_refused_and_the_connection_stays(orchestrator, engine, message, param):
    async with SocketClient(orchestrator) as client:
        refused = await client.say(message)
        assert (refused.error[0], refused.events[0]["error"]["param"]) == (400, param)
        assert not engine.seen
        assert (await client.ask()).text


async def test_the_openai_agents_sdk_says_that_it_wants_a_stream(orchestrator):
    async with SocketClient(orchestrator) as client:
        assert (await client.ask(stream=True)).text


async def test_more_than_a_few_do_not_wait(orchestrator, engine):
    engine.replies.append(Reply(before_first_byte=0.5))
    async with SocketClient(orchestrator) as client:
        await client.send("under way")
        await engine.until(lambda: engine.running == 1)
        for n in range(6):
            await client.send(str(n))
        refused = [await client.turn() for _ in range(2)]
        assert [turn.error for turn in refused] == [(429, "rate_limit_exceeded")] * 2
        assert refused[0].events[0]["headers"] == {"retry-after": "1"}
        answered = [await client.turn() for _ in range(5)]
    assert all(turn.text for turn in answered)
    assert [heard(seen)[0] for seen in engine.seen] == ["under way", "0", "1", "2", "3"]


async def test_what_waits_is_bounded_in_bytes_too(start, engine):
    orchestrator = await start(limits={"maxBodyBytes": 10_000})
    engine.replies.append(Reply(before_first_byte=0.5))
    async with SocketClient(orchestrator) as client:
        await client.send("under way")
        await engine.until(lambda: engine.running == 1)
        await client.send("a" * 6000)
        await client.send("b" * 6000)
        assert (await client.turn()).error[0] == 429
        assert [bool((await client.turn()).text) for _ in range(2)] == [True, True]
    assert len(engine.seen) == 2


async def test_a_message_that_is_too_large_ends_the_connection(start, engine):
    orchestrator = await start(limits={"maxBodyBytes": 5000})
    async with SocketClient(orchestrator) as client:
        assert (await client.ask("a" * 4000)).text
        with pytest.raises(ConnectionClosed):
            await client.ask("a" * 6000)
        assert await client.closed() == 1009


async def test_a_message_of_too_many_values_is_refused(orchestrator):
    async with SocketClient(orchestrator) as client:
        refused = await client.say(orjson.dumps(asked(metadata=[0] * 400_000)).decode())
        assert refused.error == (400, "too_many_values")
        assert (await client.ask()).text


async def test_only_the_newest_responses_are_remembered(orchestrator, monkeypatch):
    monkeypatch.setattr(memory, "MOST_RESPONSES", 2)
    async with SocketClient(orchestrator) as client:
        ids = [(await client.ask(str(n))).response["id"] for n in range(3)]
        assert (await client.ask(previous_response_id=ids[0])).error == NOT_FOUND
        assert (await client.ask(previous_response_id=ids[1])).text


async def test_and_no_more_bytes_than_a_few(orchestrator, monkeypatch):
    monkeypatch.setattr(memory, "MOST_BYTES", 3000)
    async with SocketClient(orchestrator) as client:
        ids = [(await client.ask(text)).response["id"] for text in ("a" * 1500, "b" * 1500, "c" * 4000)]
        answers = [await client.ask(previous_response_id=each) for each in ids]
    assert [turn.types[-1] for turn in answers] == ["error", "response.completed", "error"]


async def test_nor_of_all_connections_together(orchestrator, monkeypatch):
    monkeypatch.setattr(memory, "MOST_BYTES_TOGETHER", 3000)
    async with SocketClient(orchestrator) as one, SocketClient(orchestrator) as other:
        old = (await one.ask("a" * 2000)).response["id"]
        new = (await other.ask("b" * 2000)).response["id"]
        assert (await one.ask(previous_response_id=old)).error == NOT_FOUND
        assert (await other.ask(previous_response_id=new)).text


async def test_a_connection_that_has_ended_leaves_nothing_behind(orchestrator):
    memories = orchestrator.app._sockets.memories
    async with SocketClient(orchestrator) as client:
        await client.ask()
        assert memories.size > 0
    async with asyncio.timeout(20):
        while memories.size:  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def test_others_are_served_beside_it(orchestrator, engine):
    engine.replies.append(Reply(before_first_byte=0.3))
    async with SocketClient(orchestrator) as client, SocketClient(orchestrator) as other:
        await client.send("slow")
        await engine.until(lambda: engine.running == 1)
        assert (await other.ask("quick")).text
        assert (await orchestrator.chat(**question()))[0] == 200
        assert (await client.turn()).text


async def test_a_changed_configuration_holds_from_the_next_response_on(start, engine, monkeypatch):
    orchestrator = await start()
    closed: list[Any] = []
    monkeypatch.setattr(orchestrator.app, "_close", closed.append)
    changed = orchestrator.config.model_copy(deep=True)
    changed.limits.max_depth = 2
    engine.replies.append(Reply(before_first_byte=0.2))
    deep = {"metadata": {}, "text": {"format": {"type": "text"}}}
    async with SocketClient(orchestrator) as client:
        await client.send("under way", **deep)
        await engine.until(lambda: engine.running == 1)
        orchestrator.app.reload(changed)
        assert not closed  # what makes the response is still needed
        assert (await client.turn()).text
        assert (await client.ask(**deep)).error == (400, "invalid_json")
        assert len(closed) == 1


async def test_what_a_search_found_is_remembered_but_not_shown(orchestrator, engine):
    SearchDouble(BUILT).serve(orchestrator)
    engine.replies += [Reply("", (SEARCH,)), Reply("In Dursley [1]."), Reply("Sure.")]
    async with SocketClient(orchestrator) as client:
        first = await client.ask("Where?", tools=[TOOL], store=False)
        search, message = first.response["output"]
        assert (search["status"], search["results"]) == ("completed", None)
        assert [each["index"] for each in message["content"][0]["annotations"]] == [11]
        assert "response.output_text.annotation.added" in first.types
        await client.ask("Sure?", previous_response_id=first.response["id"], store=False)
    assert BUILT.text in heard(engine.seen[-1])[2]
