"""The seven cases of Open Responses' own tests that go over a WebSocket, and what they leave out."""

import pytest

from tests.engine_double import Reply
from tests.sockets.responses_socket.asking import SocketClient
from tests.sockets.responses_socket.shared import NOT_FOUND, heard


async def test_a_response(orchestrator, engine):
    async with SocketClient(orchestrator) as client:
        turn = await client.ask([{"type": "message", "role": "user", "content": "Count to 3."}], store=True)
    assert turn.text == Reply().text
    assert turn.types[2:5] == [
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
    ]
    async with orchestrator.client.get(f"/v1/responses/{turn.response['id']}") as stored:
        assert (await stored.json())["output"] == turn.response["output"]


async def test_sequential_responses(orchestrator, engine):
    engine.replies += [Reply("first"), Reply("second")]
    async with SocketClient(orchestrator) as client:
        assert [(await client.ask(word)).text for word in ("one", "two")] == ["first", "second"]
    assert [heard(seen) for seen in engine.seen] == [["one"], ["two"]]


async def test_a_continuation(orchestrator, engine):
    engine.replies += [Reply("OK"), Reply("cobalt"), Reply("sure")]
    async with SocketClient(orchestrator) as client:
        first = (await client.ask("The word is cobalt.")).response
        second = await client.ask("Which word?", previous_response_id=first["id"])
        assert second.response["previous_response_id"] == first["id"]
        await client.ask("Sure?", previous_response_id=second.response["id"])
    assert heard(engine.seen[-1]) == ["The word is cobalt.", "OK", "Which word?", "cobalt", "Sure?"]


async def test_what_was_cut_is_continued_too(orchestrator, engine):
    engine.replies.append(Reply("one two", finish_reason="length"))
    async with SocketClient(orchestrator) as client:
        cut = (await client.ask("Count.")).response
        assert cut["status"] == "incomplete"
        assert (await client.ask("Go on.", previous_response_id=cut["id"])).text
    assert heard(engine.seen[-1]) == ["Count.", "one two", "Go on."]


async def test_store_false_is_gone_with_its_connection_and_the_whole_input_recovers_it(orchestrator, engine):
    engine.replies += [Reply("OK"), Reply("cobalt")]
    async with SocketClient(orchestrator) as client:
        first = (await client.ask("The word is cobalt.")).response
    async with SocketClient(orchestrator) as client:
        lost = await client.ask("Which word?", previous_response_id=first["id"])
        assert lost.error == NOT_FOUND
        assert "remembered by its own connection" in lost.events[0]["error"]["message"]
        told = [{"role": "user", "content": "The word is cobalt."}, *first["output"]]
        found = await client.ask([*told, {"role": "user", "content": "Which word?"}], previous_response_id=None)
    assert found.text == "cobalt"
    assert heard(engine.seen[-1]) == ["The word is cobalt.", "OK", "Which word?"]


async def test_what_is_stored_is_continued_on_another_connection(orchestrator, engine):
    async with SocketClient(orchestrator) as client:
        first = (await client.ask("one", store=True)).response
    async with SocketClient(orchestrator) as client:
        assert (await client.ask("two", store=True, previous_response_id=first["id"])).response["store"]
    assert heard(engine.seen[-1])[::2] == ["one", "two"]


async def test_a_previous_response_that_nobody_knows(orchestrator):
    async with SocketClient(orchestrator) as client:
        turn = await client.ask(previous_response_id="resp_missing")
        assert turn.error == NOT_FOUND
        assert turn.events[0]["error"]["param"] == "previous_response_id"
        assert (await client.ask()).text


ORPHAN = [{"type": "function_call_output", "call_id": "call_missing", "output": "of no call"}]


@pytest.mark.parametrize(
    ("given", "fields", "status"),
    [
        (ORPHAN, {}, 400),
        ("two", {"model": "nobody"}, 404),
        ("two", {"temperature": 9}, 400),
        ("two", {"stream": 1}, 400),
    ],
)
async def test_a_failed_continuation_evicts_what_it_continues(orchestrator, given, fields, status):
    async with SocketClient(orchestrator) as client:
        first, other = (await client.ask("one")).response, (await client.ask("other")).response
        failed = await client.ask(given, previous_response_id=first["id"], **fields)
        assert failed.error[0] == status
        assert (await client.ask("stale", previous_response_id=first["id"])).error == NOT_FOUND
        assert (await client.ask("fine", previous_response_id=other["id"])).text


@pytest.mark.parametrize("fault", [{"status": 400}, {"fault": "error_event"}])
async def test_so_does_one_that_its_engine_fails(orchestrator, engine, fault):
    async with SocketClient(orchestrator) as client:
        first = (await client.ask("one")).response
        engine.replies.append(Reply(**fault))
        failed = await client.ask("two", previous_response_id=first["id"])
        assert failed.types[-1] == ("response.failed" if "fault" in fault else "error")
        assert (await client.ask("stale", previous_response_id=first["id"])).error == NOT_FOUND


async def test_a_new_chain_begins_with_what_was_compacted(orchestrator, engine):
    engine.replies += [Reply("OK"), Reply("The word is cobalt."), Reply("cobalt")]
    async with SocketClient(orchestrator) as client:
        first = (await client.ask("Remember cobalt.")).response
        whole = [{"role": "user", "content": "Remember cobalt."}, *first["output"]]
        async with orchestrator.client.post("/v1/responses/compact", json={"model": "double", "input": whole}) as made:
            compacted = await made.json()
        assert (await client.ask("?", previous_response_id=compacted["id"])).error == NOT_FOUND
        turn = await client.ask([*compacted["output"], {"role": "user", "content": "Which word?"}])
    assert turn.text == "cobalt"
    assert "The word is cobalt." in str(engine.seen[-1].body["messages"])


async def test_one_that_generates_nothing_is_continued(orchestrator, engine):
    async with SocketClient(orchestrator) as client:
        for store in (False, True):
            ready = await client.ask("Get ready.", generate=False, store=store)
            assert (ready.response["output"], engine.seen) == ([], [])
            assert (await client.ask("Go.", previous_response_id=ready.response["id"], store=store)).text
            assert heard(engine.seen.pop()) == ["Get ready.", "Go."]


async def test_what_is_stored_continues_nothing_that_is_not(orchestrator):
    async with SocketClient(orchestrator) as client:
        first = (await client.ask("one")).response
        assert (await client.ask("two", store=True, previous_response_id=first["id"])).error == NOT_FOUND


async def test_what_was_stored_and_deleted_is_gone(orchestrator):
    async with SocketClient(orchestrator) as client:
        first = (await client.ask("one", store=True)).response
        async with orchestrator.client.delete(f"/v1/responses/{first['id']}") as deleted:
            assert deleted.status == 200
        assert (await client.ask("two", previous_response_id=first["id"])).error == NOT_FOUND
