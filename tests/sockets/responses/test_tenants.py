"""What one tenant keeps is not there for another one, whatever it asks and whatever the ids."""

import pytest

from tests.sockets.responses.asking import ResponsesClient, says

KEYS = "- {key: ours, tenant: us}\n- {key: theirs, tenant: them}\n- {key: also-ours, tenant: us}\n"


@pytest.fixture
async def clients(start, tmp_path):
    """Clients of an orchestrator, by their keys."""
    (tmp_path / "keys.yaml").write_text(KEYS)
    orchestrator = await start(keys={"files": [{"file": str(tmp_path / "keys.yaml")}]})
    return {key: ResponsesClient(orchestrator.client, key) for key in ("ours", "theirs", "also-ours")}


@pytest.fixture
async def ours(clients):
    """Ids of a response, a conversation, and an item in it."""
    response, conversation = await clients["ours"].create("1"), await clients["ours"].converse(items=[says("secret")])
    (item,) = (await clients["ours"].items(conversation["id"]))["data"]
    return {"response": response["id"], "conversation": conversation["id"], "item": item["id"]}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/responses/{response}", None),
        ("DELETE", "/responses/{response}", None),
        ("GET", "/responses/{response}/input_items", None),
        ("GET", "/conversations/{conversation}", None),
        ("POST", "/conversations/{conversation}", {"metadata": {"a": "b"}}),
        ("DELETE", "/conversations/{conversation}", None),
        ("GET", "/conversations/{conversation}/items", None),
        ("POST", "/conversations/{conversation}/items", {"items": [says("hello")]}),
        ("GET", "/conversations/{conversation}/items/{item}", None),
        ("DELETE", "/conversations/{conversation}/items/{item}", None),
    ],
)
async def test_another_tenant_finds_nothing(clients, ours, method, path, body):
    missing = {name: f"{found[:-6]}abcdef" for name, found in ours.items()}
    theirs = await clients["theirs"].call(method, path.format(**ours), 404, json=body)
    nobodys = await clients["theirs"].call(method, path.format(**missing), 404, json=body)
    for name, found in ours.items():  # it is told apart from nothing by the id alone, which it named itself
        nobodys["message"] = nobodys["message"].replace(missing[name], found)
    assert theirs == nobodys
    assert (await clients["ours"].conversation(ours["conversation"]))["metadata"] == {}
    assert len((await clients["ours"].items(ours["conversation"]))["data"]) == 1
    await clients["ours"].get(ours["response"])


@pytest.mark.parametrize("stream", [False, True])
async def test_another_tenant_continues_nothing(clients, ours, engine, stream):
    asked = len(engine.seen)
    error = await clients["theirs"].refused(404, previous_response_id=ours["response"], stream=stream)
    assert error["code"] == "previous_response_not_found"
    error = await clients["theirs"].refused(404, conversation=ours["conversation"], stream=stream)
    assert error["code"] == "conversation_not_found"
    assert len(engine.seen) == asked


async def test_another_key_of_the_tenant_finds_all(clients, ours):
    also = clients["also-ours"]
    assert (await also.get(ours["response"]))["id"] == ours["response"]
    await also.create("2", previous_response_id=ours["response"])
    await also.create("3", conversation=ours["conversation"])
    assert len((await also.items(ours["conversation"]))["data"]) == 3


@pytest.mark.parametrize("path", ["/responses/x", "/responses/x/input_items", "/conversations/x/items"])
async def test_without_a_key_there_is_nothing(clients, path):
    stranger = ResponsesClient(clients["ours"]._http)
    assert (await stranger.call("GET", path, 401))["code"] == "invalid_api_key"
    assert (await stranger.refused(401))["code"] == "invalid_api_key"
