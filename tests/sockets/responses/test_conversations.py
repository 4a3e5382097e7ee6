"""Conversations, and the responses in them."""

import asyncio

import pytest

from tests.engine_double import Call, Reply
from tests.sockets.responses.asking import says, text_of, types_of

STREAMED = pytest.mark.parametrize("stream", [False, True])


def texts(page):
    return [item["content"][0]["text"] for item in page["data"]]


async def test_a_conversation(ask):
    conversation = await ask.converse(metadata={"topic": "tandems"})
    assert conversation["metadata"] == {"topic": "tandems"}
    assert await ask.conversation(conversation["id"]) == conversation
    changed = await ask.conversation(conversation["id"], "POST", json={"metadata": {"a": "b"}})
    assert changed == {**conversation, "metadata": {"a": "b"}}
    assert await ask.conversation(conversation["id"]) == changed


async def test_what_is_deleted_is_gone(ask):
    conversation = await ask.converse(items=[says("1")])
    path = f"/conversations/{conversation['id']}"
    (item,) = (await ask.items(conversation["id"]))["data"]
    await ask.delete_conversation(conversation["id"])
    for method, end, body in (
        ("GET", "", None),
        ("POST", "", {"metadata": {}}),
        ("DELETE", "", None),
        ("GET", "/items", None),
        ("POST", "/items", {"items": [says("1")]}),
    ):
        error = await ask.call(method, path + end, 404, json=body)
        assert error["code"] == "conversation_not_found", (method, end)
    for method in ("GET", "DELETE"):
        assert (await ask.call(method, f"{path}/items/{item['id']}", 404))["code"] == "item_not_found"
    assert (await ask.refused(404, conversation=conversation["id"]))["code"] == "conversation_not_found"


async def test_items(ask):
    conversation = await ask.converse(items=[says("1"), says("2", "assistant")])
    added = await ask.add_items(conversation["id"], says("3", "developer"), says("4"))
    assert texts(added) == ["3", "4"]
    page = await ask.items(conversation["id"], order="asc")
    assert texts(page) == ["1", "2", "3", "4"]
    assert [item["role"] for item in page["data"]] == ["user", "assistant", "developer", "user"]
    third = page["data"][2]
    assert await ask.item(conversation["id"], third["id"]) == third
    await ask.delete_item(conversation["id"], third["id"])
    assert texts(await ask.items(conversation["id"], order="asc")) == ["1", "2", "4"]
    path = f"/conversations/{conversation['id']}/items/{third['id']}"
    for method in ("GET", "DELETE"):
        assert (await ask.call(method, path, 404))["code"] == "item_not_found"


@pytest.mark.parametrize(("order", "expected"), [("asc", "01234"), ("desc", "43210")])
async def test_pages(ask, order, expected):
    conversation = await ask.converse(items=[says(str(n)) for n in range(5)])
    found, after = [], ""
    for more in (True, True, False):
        page = await ask.items(conversation["id"], order=order, limit=2, after=after)
        assert page["has_more"] is more
        found += texts(page)
        after = page["last_id"]
    assert found == list(expected)
    assert (await ask.call("GET", f"/conversations/{conversation['id']}/items?after=x", 404))[
        "code"
    ] == "item_not_found"


@pytest.mark.parametrize("end", ["limit=0", "limit=101", "order=up"])
async def test_a_page_that_cannot_be(ask, end):
    conversation = await ask.converse()
    error = await ask.call("GET", f"/conversations/{conversation['id']}/items?{end}", 422)
    assert error["param"] == end.partition("=")[0]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"items": [says("x")] * 21}, "items"),
        ({"items": "x"}, "items"),
        ({"items": [{"type": "message", "role": "nobody", "content": "x"}]}, "items.0.role"),
        ({"items": [{"type": "item_reference", "id": "x"}]}, "items.0.type"),
        ({"metadata": {"a": 1}}, "metadata.a"),
    ],
)
async def test_a_conversation_that_cannot_be(ask, body, param):
    assert (await ask.call("POST", "/conversations", 400, json=body))["param"] == param


@STREAMED
async def test_a_response_adds_what_was_said(ask, engine, stream):
    engine.replies += [Reply("a", reasoning="Hm."), Reply("b")]
    conversation = await ask.converse(items=[says("Be brief.", "developer")])
    for question in ("1", "2"):
        response = await ask.either(question, stream=stream, conversation=conversation["id"])
        assert response["conversation"] == {"id": conversation["id"]}
    assert [message["content"] for message in engine.seen[-1].body["messages"]] == ["Be brief.", "1", "a", "2"]
    kept = (await ask.items(conversation["id"], order="asc"))["data"]
    assert types_of(kept) == ["message", "message", "reasoning", "message", "message", "message"]
    assert kept[-1] == response["output"][0]
    assert await ask.get(response["id"]) == response


async def test_the_conversation_may_be_an_object(ask):
    conversation = await ask.converse()
    await ask.create("1", conversation={"id": conversation["id"]})
    assert texts(await ask.items(conversation["id"], order="asc"))[0] == "1"


async def test_a_call_and_its_output_in_a_conversation(ask, engine):
    engine.replies += [Reply("", (Call("look", '{"at": "it"}'),)), Reply("Seen.")]
    conversation, tools = await ask.converse(), [{"type": "function", "name": "look"}]
    (call,) = (await ask.create("Look.", conversation=conversation["id"], tools=tools))["output"]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "there"}
    response = await ask.create([output], conversation=conversation["id"], tools=tools)
    assert text_of(response) == "Seen."
    kept = (await ask.items(conversation["id"], order="asc"))["data"]
    assert types_of(kept) == ["message", "function_call", "function_call_output", "message"]


async def test_responses_at_once_lose_nothing_and_double_nothing(ask, engine):
    engine.rule = lambda request: Reply(f"re {request['messages'][-1]['content']}")
    conversation = await ask.converse()
    asked = [ask.either(str(n), stream=bool(n % 2), conversation=conversation["id"]) for n in range(8)]
    answers = await asyncio.gather(*asked)
    kept = (await ask.items(conversation["id"], order="asc", limit=100))["data"]
    assert len(kept) == 16
    assert sorted(item["content"][0]["text"] for item in kept) == sorted(
        [*map(str, range(8)), *(f"re {n}" for n in range(8))]
    )
    for question, answer in zip(kept[::2], kept[1::2], strict=True):  # each response's items stay together
        assert answer["content"][0]["text"] == f"re {question['content'][0]['text']}"
    assert {item["id"] for item in kept[1::2]} == {answer["output"][0]["id"] for answer in answers}


async def test_a_deleted_conversation_leaves_its_responses(ask):
    conversation = await ask.converse()
    response = await ask.create("1", conversation=conversation["id"])
    await ask.delete_conversation(conversation["id"])
    assert await ask.get(response["id"]) == response
