"""Responses that are made without their client, and streams that are read again."""

import asyncio

import pytest

from tests.engine_double import Call, Reply
from tests.sockets.responses.asking import says, text_of, types_of

LATER = {"background": True}


async def test_it_is_queued_and_made(ask, engine):
    engine.replies.append(Reply("Made."))
    queued = await ask.create(**LATER)
    assert (queued["status"], queued["output"], queued["background"]) == ("queued", [], True)
    made = await ask.ended(queued["id"])
    assert (made["status"], text_of(made), made["created_at"]) == ("completed", "Made.", queued["created_at"])
    assert made["usage"]["output_tokens"] == 1


async def test_it_can_be_continued_and_stands_in_a_conversation(ask, engine):
    conversation = await ask.converse()
    made = await ask.ended((await ask.create("Hello", conversation=conversation["id"], **LATER))["id"])
    items = await ask.items(conversation["id"], order="asc")
    assert types_of(items["data"]) == ["message", "message"]
    following = await ask.ended((await ask.create("More", previous_response_id=made["id"], **LATER))["id"])
    assert following["status"] == "completed"
    assert [message["role"] for message in engine.seen[-1].body["messages"]] == ["user", "assistant", "user"]


async def test_one_that_is_not_made_yet_cannot_be_continued(ask, engine):
    engine.replies.append(Reply(before_first_byte=30))
    queued = await ask.create(**LATER)
    error = await ask.refused(400, previous_response_id=queued["id"])
    assert error["code"] == "previous_response_not_completed"


async def test_it_runs_tools_of_the_server(ask, engine):
    engine.replies += [Reply("", (Call("calculate_math", '{"expression": "2+2"}'),)), Reply("Four.")]
    made = await ask.ended((await ask.create(tandem={"tools": ["calculate_math"]}, **LATER))["id"])
    assert types_of(made["output"]) == ["mcp_call", "message"]


async def test_what_cannot_be_made_is_refused_at_once(ask):
    assert (await ask.refused(404, model="unknown", **LATER))["code"] == "model_not_found"
    assert (await ask.refused(400, store=False, **LATER))["param"] == "background"
    assert (await ask.refused(404, previous_response_id="resp_none", **LATER))["param"] == "previous_response_id"


async def test_the_engine_says_no(ask, engine):
    engine.replies.append(Reply(status=400, error={"error": {"message": "no", "type": "BadRequestError", "code": 400}}))
    made = await ask.ended((await ask.create(**LATER))["id"])
    assert (made["status"], made["error"]["message"]) == ("failed", "no")


async def test_it_waits_for_an_engine_that_is_away(ask, engine):
    await ask.create()  # the model is known from now on
    engine.stop()
    queued = await ask.create(**LATER)
    await asyncio.sleep(0)
    await engine.start()
    assert (await ask.ended(queued["id"]))["status"] == "completed"


@pytest.mark.parametrize("at_engine", [False, True])
async def test_it_is_cancelled(ask, engine, at_engine):
    engine.replies.append(Reply(before_first_byte=30))
    queued = await ask.create(**LATER)
    if at_engine:
        await engine.until(lambda: engine.running)
    cancelled = await ask.cancel(queued["id"])
    assert cancelled["status"] == "cancelled"
    await engine.until(lambda: not engine.running)
    assert await ask.cancel(queued["id"]) == cancelled
    assert await ask.get(queued["id"]) == cancelled


async def test_only_those_of_the_background_are_cancelled(ask):
    response = await ask.create()
    error = await ask.call("POST", f"/responses/{response['id']}/cancel", 400)
    assert error["code"] == "response_not_cancellable"
    await ask.call("POST", "/responses/resp_none/cancel", 404)
    done = await ask.ended((await ask.create(**LATER))["id"])
    assert await ask.cancel(done["id"]) == done


class TestStreams:
    async def test_it_is_streamed(self, ask, engine):
        engine.replies.append(Reply("one two three"))
        stream = await ask.stream(**LATER)
        assert stream.names[:3] == ["response.created", "response.queued", "response.in_progress"]
        assert text_of(stream.response) == "one two three"
        assert await ask.get(stream.response["id"]) == stream.response

    async def test_it_is_read_again_from_any_event_on(self, ask, engine):
        for fields in (LATER, {}):
            engine.replies.append(Reply("one two three"))
            stream = await ask.stream(**fields)
            response_id = stream.response["id"]
            for after in (-1, 0, 5, len(stream.names) - 2):
                again = await ask.read_again(response_id, after)
                assert again.names == stream.names[after + 1 :]
                assert again.response == stream.response

    async def test_it_is_read_while_it_is_made(self, ask, engine):
        engine.replies.append(Reply("one two three", between_pieces=0.3))
        first, second = await asyncio.gather(ask.stream(**LATER), self.read_soon(ask, engine))
        assert second.names == first.names
        assert second.response == first.response

    async def read_soon(self, ask, engine):
        await engine.until(lambda: engine.running)
        return await ask.read_again(ask.begun[0])

    async def test_one_that_is_cancelled_ends(self, ask, engine):
        engine.replies.append(Reply("one two", fault="hang", fault_after=1))

        async def cancel():
            await engine.until(lambda: engine.running)
            await ask.cancel(ask.begun[0])

        stream, _ = await asyncio.gather(ask.stream(**LATER), cancel())
        assert (stream.names[-1], stream.response["status"]) == ("response.incomplete", "cancelled")

    async def test_one_without_events_cannot_be_read_again(self, ask):
        response = await ask.create()
        error = await ask.call("GET", f"/responses/{response['id']}?stream=true", 400)
        assert error["param"] == "stream"
        await ask.call("GET", "/responses/resp_none?stream=true", 404)


async def test_a_deleted_one_cannot_be_read_again(ask, engine):
    engine.replies.append(Reply("one two three"))
    stream = await ask.stream([says("Hello")], **LATER)
    await ask.delete(stream.response["id"])
    await ask.call("GET", f"/responses/{stream.response['id']}?stream=true", 404)
