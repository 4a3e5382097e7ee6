"""Stored responses: shown, listed, deleted."""

import pytest

from tests.engine_double import Reply
from tests.sockets.responses.asking import says

STREAMED = pytest.mark.parametrize("stream", [False, True])


@STREAMED
async def test_what_is_stored_is_what_was_answered(ask, engine, stream):
    engine.replies.append(Reply("Well.", reasoning="Hm."))
    response = await ask.either("1", stream=stream, metadata={"a": "b"}, instructions="Be brief.", temperature=0.5)
    assert await ask.get(response["id"]) == response
    assert (response["metadata"], response["temperature"]) == ({"a": "b"}, 0.5)


async def test_what_failed_is_stored_too(ask, engine):
    engine.replies.append(Reply("a b c d", fault="error_event", fault_after=3))
    failed = (await ask.stream("1")).response
    assert await ask.get(failed["id"]) == failed


async def test_what_is_deleted_is_gone(ask):
    response = await ask.create("1")
    path = f"/responses/{response['id']}"
    await ask.delete(response["id"])
    for method, end in (("GET", ""), ("DELETE", ""), ("GET", "/input_items")):
        assert (await ask.call(method, path + end, 404))["code"] == "response_not_found"
    assert (await ask.refused(404, previous_response_id=response["id"]))["code"] == "previous_response_not_found"


async def test_what_continues_a_deleted_response_goes_on(ask, engine):
    engine.replies += [Reply("a"), Reply("b"), Reply("c"), Reply("d")]
    first = await ask.create("1")
    second = await ask.create("2", previous_response_id=first["id"])
    third = await ask.create("3", previous_response_id=second["id"])
    await ask.delete(first["id"])
    await ask.delete(second["id"])
    assert await ask.get(third["id"]) == third
    await ask.create("4", previous_response_id=third["id"])
    assert [message["content"] for message in engine.seen[-1].body["messages"]] == ["1", "a", "2", "b", "3", "c", "4"]


async def test_there_is_nothing_under_other_ids(ask):
    for method, end in (("GET", ""), ("DELETE", ""), ("GET", "/input_items")):
        assert (await ask.call(method, f"/responses/resp_unknown{end}", 404))["code"] == "response_not_found"


class TestInputItems:
    @pytest.fixture
    async def listed(self, ask):
        """A list of the five items of a response."""
        response = await ask.create([says(str(n)) for n in range(5)])

        async def page(**fields):
            return await ask.input_items(response["id"], **fields)

        return page

    async def test_the_newest_comes_first(self, listed):
        page = await listed()
        assert [item["content"][0]["text"] for item in page["data"]] == list("43210")
        assert not page["has_more"]
        assert {item["role"] for item in page["data"]} == {"user"}

    @pytest.mark.parametrize(("order", "texts"), [("asc", "01234"), ("desc", "43210")])
    async def test_pages(self, listed, order, texts):
        found, after = [], ""
        for more in (True, True, False):
            page = await listed(order=order, limit=2, after=after)
            assert page["has_more"] is more
            found += [item["content"][0]["text"] for item in page["data"]]
            after = page["last_id"]
        assert found == list(texts)
        assert (await listed(order=order, after=after))["data"] == []

    async def test_only_what_this_response_was_given(self, ask):
        first = await ask.create("1")
        second = await ask.create("2", previous_response_id=first["id"])
        (item,) = (await ask.input_items(second["id"]))["data"]
        assert item["content"] == [{"type": "input_text", "text": "2"}]

    @pytest.mark.parametrize(
        ("name", "value", "status"), [("limit", 0, 422), ("limit", 101, 422), ("order", "up", 422), ("after", "x", 400)]
    )
    async def test_a_page_that_cannot_be(self, ask, name, value, status):
        response = await ask.create("1")
        error = await ask.call("GET", f"/responses/{response['id']}/input_items?{name}={value}", status)
        assert error["param"] == name
