"""What a response continues."""

import pytest

from tests.engine_double import Reply
from tests.sockets.responses.asking import says, text_of

STREAMED = pytest.mark.parametrize("stream", [False, True])


def said(engine):
    return [message["content"] for message in engine.seen[-1].body["messages"]]


@STREAMED
async def test_a_chain_of_three(ask, engine, stream):
    engine.replies += [Reply("a"), Reply("b"), Reply("c")]
    last = None
    for question in ("1", "2", "3"):
        last = (await ask.either(question, stream=stream, previous_response_id=last))["id"]
    assert said(engine) == ["1", "a", "2", "b", "3"]


async def test_a_chain_forks(ask, engine):
    engine.replies += [Reply("a"), Reply("b"), Reply("c")]
    first = (await ask.create("1"))["id"]
    await ask.create("2", previous_response_id=first)
    await ask.create("3", previous_response_id=first)
    assert said(engine) == ["1", "a", "3"]


async def test_instructions_are_not_carried_over(ask, engine):
    first = await ask.create("1", instructions="Be brief.")
    assert first["instructions"] == "Be brief."
    assert said(engine)[0] == "Be brief."
    second = await ask.create("2", previous_response_id=first["id"])
    assert second["instructions"] is None
    assert "Be brief." not in said(engine)
    await ask.create("3", previous_response_id=second["id"], instructions="Be long.")
    assert said(engine)[0] == "Be long."


async def test_a_system_message_is_carried_over(ask, engine):
    first = await ask.create([says("Be brief.", "system"), says("1")])
    await ask.create("2", previous_response_id=first["id"], instructions="Be long.")
    assert engine.seen[-1].body["messages"][0] == {"role": "system", "content": "Be long.\n\nBe brief."}


async def test_nothing_new_is_said(ask, engine):
    first = await ask.create("1")
    await ask.create(None, previous_response_id=first["id"])
    assert len(said(engine)) == 2


@STREAMED
async def test_an_unknown_response_cannot_be_continued(ask, engine, stream):
    error = await ask.refused(404, previous_response_id="resp_unknown", stream=stream)
    assert (error["code"], error["param"]) == ("previous_response_not_found", "previous_response_id")
    assert not engine.seen


@STREAMED
async def test_what_is_not_stored_is_not_found(ask, stream):
    response = await ask.either("1", stream=stream, store=False)
    assert response["store"] is False
    assert (await ask.call("GET", f"/responses/{response['id']}", 404))["code"] == "response_not_found"
    error = await ask.refused(404, previous_response_id=response["id"])
    assert error["code"] == "previous_response_not_found"


async def test_the_configuration_says_what_is_stored(asking):
    ask = await asking(responses={"store": False})
    assert (await ask.create("1"))["store"] is False
    kept = await ask.create("1", store=True)
    assert await ask.get(kept["id"]) == kept


async def test_only_one_thing_can_come_before(ask):
    first, conversation = await ask.create("1"), await ask.converse()
    error = await ask.refused(400, previous_response_id=first["id"], conversation=conversation["id"])
    assert error["param"] == "previous_response_id"


async def test_what_is_incomplete_can_be_continued(ask, engine):
    engine.replies += [Reply("Once upon a", finish_reason="length"), Reply("time.")]
    first = await ask.create("Tell me.", max_output_tokens=3)
    second = await ask.create("Go on.", previous_response_id=first["id"])
    assert text_of(second) == "time."
    assert said(engine) == ["Tell me.", "Once upon a", "Go on."]


async def test_what_failed_cannot_be_continued(ask, engine):
    engine.replies.append(Reply("a b c d", fault="error_event", fault_after=3))
    failed = (await ask.stream("1")).response
    error = await ask.refused(400, previous_response_id=failed["id"])
    assert error["param"] == "previous_response_id"


async def test_what_is_not_stored_may_continue_what_is(ask, engine):
    first = await ask.create("1")
    second = await ask.create("2", previous_response_id=first["id"], store=False)
    assert second["previous_response_id"] == first["id"]
    assert said(engine)[::2] == ["1", "2"]
