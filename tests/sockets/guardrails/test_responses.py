"""Responses over a WebSocket and in the background: what a rail keeps back is in no event, now or later."""

import json
from typing import Any

import pytest

from tests.engine_double import Call, EngineDouble, Reply
from tests.sockets.guardrails.conftest import BADGE, KIND, MASK, rail, told
from tests.sockets.responses.asking import ResponsesClient, text_of
from tests.sockets.responses_socket.asking import SocketClient
from tests.sockets.running import until

SAYS = f"my badge is {BADGE}"
MASKED = f"my badge is {MASK}"


@pytest.fixture
def stored(guarded, tmp_path):
    """Starts an orchestrator with these guardrails and a database."""

    async def started(*guardrails, **settings):
        return await guarded(*guardrails, database={"url": f"sqlite:///{tmp_path}/tandem.db"}, **settings)

    return started


class TestWebSocket:
    async def test_a_message_that_is_blocked_ends_nothing_else(self, guarded, engine):
        async with SocketClient(await guarded(rail("block", "input"))) as client:
            refused = await client.ask(SAYS)
            assert refused.error == (400, "content_filter")
            error = refused.events[0]["error"]
            assert error["message"] == f"guardrail badges: the request holds {KIND}; take it out"
            assert not engine.seen
            assert (await client.ask("hi")).text

    async def test_a_message_is_masked_and_stays_so_in_what_continues_it(self, guarded, engine):
        async with SocketClient(await guarded(rail("mask", "input"))) as client:
            first = (await client.ask(SAYS)).response
            assert first["tandem"] == told("mask", "input")
            assert (await client.ask("hi", previous_response_id=first["id"])).text
        assert [message["content"] for message in engine.seen[1].body["messages"]][::2] == [MASKED, "hi"]
        assert BADGE.encode() not in b"".join(seen.raw for seen in engine.seen)

    @pytest.mark.parametrize(
        ("action", "status", "text"), [("mask", "completed", MASKED), ("block", "incomplete", "my badge is ")]
    )
    async def test_what_is_said_is_judged_and_so_it_is_remembered(self, guarded, engine, action, status, text):
        engine.replies.append(Reply(SAYS))
        async with SocketClient(await guarded(rail(action, "output"))) as client:
            turn = await client.ask()
            assert (turn.response["status"], text_of(turn.response)) == (status, text)
            assert turn.response["tandem"] == told(action)
            assert BADGE not in json.dumps(turn.events)
            assert (await client.ask(previous_response_id=turn.response["id"])).text
        assert BADGE.encode() not in engine.seen[1].raw


@pytest.mark.parametrize("stream", [False, True])
class TestBackground:
    """`either` waits for the end, and tells what is stored then."""

    async def made(self, client: ResponsesClient, given: Any = "Hello", *, stream: bool, **fields: Any) -> Any:
        begun = await client.either(given, stream=stream, background=True, **fields)
        ended = await client.ended(begun["id"])
        if stream:
            again = await client.read_again(begun["id"])
            assert again.response == ended == begun
            assert BADGE not in json.dumps(again.events)
        return ended

    async def test_what_is_asked_is_blocked(self, stored, engine, stream):
        client = ResponsesClient((await stored(rail("block", "input"))).client)
        response = await self.made(client, SAYS, stream=stream)
        assert (response["status"], response["output"]) == ("failed", [])
        assert response["error"]["message"] == f"guardrail badges: the request holds {KIND}; take it out"
        assert not engine.seen

    async def test_what_is_asked_is_masked_for_the_engine(self, stored, engine, stream):
        client = ResponsesClient((await stored(rail("mask", "input"))).client)
        response = await self.made(client, SAYS, stream=stream)
        assert (response["status"], response["tandem"]) == ("completed", told("mask", "input"))
        follows = await self.made(client, "hi", stream=stream, previous_response_id=response["id"])
        assert follows["status"] == "completed"
        for seen in engine.seen:
            assert seen.body["messages"][0]["content"] == MASKED

    @pytest.mark.parametrize(("action", "status"), [("mask", "completed"), ("block", "incomplete")])
    async def test_what_is_said_is_kept_as_it_was_judged(self, stored, engine, stream, action, status):
        engine.replies.append(Reply(SAYS, reasoning="hm"))
        client = ResponsesClient((await stored(rail(action, "output"))).client)
        response = await self.made(client, stream=stream)
        assert (response["status"], response["tandem"]) == (status, told(action))
        assert BADGE not in json.dumps(response)
        if action == "mask":
            assert text_of(response) == MASKED
        else:
            assert response["incomplete_details"] == {"reason": "content_filter"}
        await self.made(client, stream=stream, previous_response_id=response["id"])
        assert BADGE.encode() not in engine.seen[1].raw

    async def test_a_tool_of_the_server_does_not_run(self, stored, engine, stream):
        engine.replies += [Reply("", (Call("calculate_math", f'{{"expression": "{BADGE}"}}'),)), Reply("I cannot.")]
        client = ResponsesClient((await stored(rail("block", "toolArguments"))).client)
        response = await self.made(client, stream=stream, tandem={"tools": ["calculate_math"]})
        assert (response["status"], text_of(response)) == ("completed", "I cannot.")
        why = f"calculate_math was not run: guardrail badges found {KIND} in its arguments"
        assert json.loads(response["output"][0]["error"]["content"][0]["text"]) == {"error": why}
        assert response["tandem"] == told("block", "toolArguments")


async def test_one_in_the_background_waits_for_a_judge_that_is_away(stored, engine, decided):
    async with EngineDouble() as judge:
        moderation = {"url": f"{judge.url}/v1/moderations", "model": "double"}
        judge.stop()
        client = ResponsesClient((await stored({"name": "service", "moderation": moderation})).client)
        begun = await client.create(background=True)
        await until(lambda: decided("service", "input", "error_blocked", "unavailable"))
        await judge.start()
        assert (await client.ended(begun["id"]))["status"] == "completed"
    assert len(engine.seen) == 1
