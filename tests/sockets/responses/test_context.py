"""Long conversations: counted, cut, summed up."""

import pytest

from tests.engine_double import Call, Reply
from tests.sockets.responses.asking import says, text_of, types_of

STREAMED = pytest.mark.parametrize("stream", [False, True])
AUTO = {"truncation": "auto"}


async def chain(ask, turns, **fields):
    """The last of some responses that continue each other."""
    response = await ask.create("turn 0 of many words here", **fields)
    for turn in range(1, turns):
        previous = response["id"]
        response = await ask.create(f"turn {turn} of many words here", previous_response_id=previous, **fields)
    return response


@pytest.mark.parametrize("kind", ["vllm", "openai"])
async def test_tokens_are_counted(asking, engine, kind):
    ask = await asking(upstreams=[{"name": "engine", "url": engine.url, "type": kind}])
    counted = await ask.tokens("one two three")
    assert counted == 7  # four for a message, and each word; or what the engine says that it has read
    first = await ask.create("one two three")
    assert await ask.tokens("four", previous_response_id=first["id"]) > counted
    conversation = await ask.converse(items=[says("one two three")])
    assert await ask.tokens("four", conversation=conversation["id"]) > await ask.tokens("four")
    assert (await ask.items(conversation["id"]))["data"][0]["content"][0]["text"] == "one two three"


class TestTruncation:
    @STREAMED
    async def test_without_it_what_is_too_long_fails_and_says_by_how_much(self, ask, engine, stream):
        response = await ask.create("one two three")
        engine.context = 20
        error = await ask.refused(400, "four", previous_response_id=response["id"], stream=stream)
        assert error["code"] == "context_length_exceeded"
        needed = sum(4 + len(str(message["content"]).split()) for message in engine.seen[-1].body["messages"]) + 1
        assert f" {needed - 20} tokens too long" in error["message"]

    @STREAMED
    async def test_the_oldest_turns_are_cut(self, ask, engine, stream):
        last = await chain(ask, 6, instructions="Be brief")
        engine.context = 90
        fields = {"instructions": "Be brief", "previous_response_id": last["id"]}
        response = await ask.either("and now", stream=stream, **fields, **AUTO)
        sent = engine.seen[-1].body["messages"]
        assert (sent[0]["role"], sent[1]["role"], sent[-1]["content"]) == ("system", "user", "and now")
        assert response["tandem"] == {"turns_cut": 6 - (len(sent) - 2) // 2}
        turns = [message["content"] for message in sent if message["role"] == "user"][:-1]
        assert turns == [f"turn {n} of many words here" for n in range(6 - len(turns), 6)]
        assert turns

    async def test_no_more_than_needed(self, ask, engine):
        last = await chain(ask, 6)
        fields = {"previous_response_id": last["id"], **AUTO}
        engine.context = await ask.tokens("and now", previous_response_id=last["id"]) + 1
        assert "tandem" not in await ask.create("and now", **fields)
        engine.context -= 1
        assert (await ask.create("and now", **fields))["tandem"] == {"turns_cut": 1}

    async def test_it_is_cut_where_the_engine_does_not_count(self, asking, engine):
        ask = await asking(upstreams=[{"name": "engine", "url": engine.url, "type": "openai"}])
        last = await chain(ask, 4)
        engine.context = 60
        response = await ask.create("and now", previous_response_id=last["id"], **AUTO)
        assert response["tandem"]["turns_cut"] > 0

    async def test_a_single_turn_that_is_too_long_fails(self, ask, engine):
        engine.context = 20
        error = await ask.refused(400, "word " * 40, **AUTO)
        assert error["code"] == "context_length_exceeded"


class TestCompaction:
    @STREAMED
    async def test_a_trigger_is_answered_by_one_compaction(self, ask, engine, stream):
        engine.replies.append(Reply("Ada asks."))
        given = [says("My name is Ada"), {"type": "compaction_trigger"}]
        response = await ask.either(given, stream=stream)
        assert types_of(response["output"]) == ["compaction"]
        assert "Ada asks." not in response["output"][0]["encrypted_content"]
        following = await ask.create("And?", previous_response_id=response["id"], instructions="Be brief")
        sent = engine.seen[-1].body["messages"]
        assert [message["role"] for message in sent] == ["system", "user"]
        assert sent[0]["content"].startswith("Be brief\n\n")
        assert sent[0]["content"].endswith("Ada asks.")
        assert "My name" not in str(sent)
        assert following["status"] == "completed"

    async def test_an_input_is_compacted_without_being_kept(self, ask, engine):
        first = await ask.create("My name is Ada")
        engine.replies.append(Reply("Ada asks."))
        compaction = await ask.compact(previous_response_id=first["id"])
        assert types_of(compaction["output"]) == ["compaction"]
        assert compaction["usage"]["total_tokens"] > 0
        await ask.create([*compaction["output"], says("And?")])
        assert "Ada asks." in engine.seen[-1].body["messages"][0]["content"]
        assert (await ask.call("GET", f"/responses/{compaction['id']}", 404))["code"] == "response_not_found"

    async def test_it_needs_a_model_and_something_to_compact(self, ask):
        assert (await ask.call("POST", "/responses/compact", 400, json={"input": "x"}))["param"] == "model"
        assert (await ask.call("POST", "/responses/compact", 400, json={"model": "double"}))["param"] == "input"

    @STREAMED
    async def test_above_a_threshold_it_happens_by_itself(self, ask, engine, stream):
        first = await ask.create("word " * 1200)
        manage = {"context_management": [{"type": "compaction", "compact_threshold": 1000}]}
        engine.replies += [Reply("Words."), Reply("Done.")]
        second = await ask.either("go on", stream=stream, previous_response_id=first["id"], **manage)
        assert types_of(second["output"]) == ["compaction", "message"]
        assert text_of(second) == "Done."
        sent = engine.seen[-1].body["messages"]
        assert [message["role"] for message in sent] == ["system", "user"]
        assert sent[1]["content"] == "go on"
        await ask.create("more", previous_response_id=second["id"], **manage)
        sent = engine.seen[-1].body["messages"]
        assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
        assert "Words." in sent[0]["content"]

    async def test_below_it_nothing_happens(self, ask):
        manage = {"context_management": [{"type": "compaction", "compact_threshold": 1000}]}
        assert types_of((await ask.create(**manage))["output"]) == ["message"]

    async def test_what_is_not_sealed_here_is_refused(self, ask):
        for content in ("", "bm90IHNlYWxlZA==", "no base64!"):
            given = [{"type": "compaction", "encrypted_content": content}, says("And?")]
            assert (await ask.refused(400, given))["code"] == "invalid_encrypted_content"


async def test_reasoning_that_its_client_keeps_is_sealed(ask, engine):
    engine.replies.append(Reply("Yes.", reasoning="secret thoughts"))
    fields = {"store": False, "include": ["reasoning.encrypted_content"]}
    first = await ask.create(**fields)
    (thought, said) = first["output"]
    assert "secret" not in thought["encrypted_content"]
    del thought["content"]
    await ask.create([says("Hello"), thought, said, says("And?")], **fields)
    assert engine.seen[-1].body["messages"][1]["reasoning"] == "secret thoughts"
    changed = {**thought, "encrypted_content": thought["encrypted_content"][:-6] + "AAAAA="}
    error = await ask.refused(400, [changed, said, says("And?")], **fields)
    assert error["code"] == "invalid_encrypted_content"


async def test_references(ask, engine):
    first = await ask.create("Hello")
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    await ask.create([reference, says("And?")])
    assert [message["role"] for message in engine.seen[-1].body["messages"]] == ["assistant", "user"]
    await ask.create([{"id": reference["id"]}, says("And?")], store=False)  # the type may be left out
    given = (await ask.input_items(first["id"]))["data"][0]
    await ask.create([{"type": "item_reference", "id": given["id"]}])
    assert [message["content"] for message in engine.seen[-1].body["messages"]] == ["Hello"]
    for unknown in ("msg_none", first["output"][0]["id"][:-1] + "9"):
        error = await ask.refused(404, [{"type": "item_reference", "id": unknown}])
        assert (error["code"], error["param"]) == ("item_not_found", "input.0.id")


async def test_a_chats_fields_are_refused(ask, engine):
    for field, value in (("messages", [{"role": "user", "content": "x"}]), ("max_tokens", 5), ("n", 2)):
        assert (await ask.refused(400, **{field: value}))["param"] == field
    assert not engine.seen


async def test_the_limit_of_output_holds_for_all_passes(ask, engine):
    engine.replies += [Reply("one two three", (Call("calculate_math", '{"expression": "2+2"}'),)), Reply("four")]
    tools = {"tandem": {"tools": ["calculate_math"]}}
    await ask.create(max_output_tokens=10, **tools)
    bounds = [seen.body["max_tokens"] for seen in engine.seen]
    assert bounds[0] == 10
    assert 1 <= bounds[1] < 10
