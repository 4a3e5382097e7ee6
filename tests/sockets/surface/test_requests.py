"""What reaches the engine, and what is refused before."""

from io import BytesIO

import orjson
import pytest

from tests.sockets.running import MATH_TOOL, config_for, question
from tests.sockets.surface.asking import ASKED, BLOCKING, CALLS, CHAT, COMPLETIONS, EMBEDDINGS, asked, error_of

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(("path", "stream"), BLOCKING)
async def test_unknown_fields_pass(orchestrator, engine, path, stream):
    body = {"unheard_of": [1.5, "é", None, {"a": []}], **asked(path)}
    async with orchestrator.client.post(path, json=body) as response:
        assert response.status == 200
    assert (engine.seen[0].body, engine.seen[0].path) == (body, path)


@pytest.mark.parametrize(("path", "stream"), CALLS)
async def test_of_two_fields_with_one_name_the_engine_gets_the_one_that_was_checked(orchestrator, engine, path, stream):
    fields = orjson.dumps(asked(path, stream=stream))[1:]
    async with orchestrator.client.post(
        path, data=b'{"n":5000,"model":"other",' + fields[:-1] + b',"n":1}'
    ) as response:
        assert response.status == 200
    assert engine.seen[0].raw.count(b'"n":') == engine.seen[0].raw.count(b'"model":') == 1
    assert (engine.seen[0].body["n"], engine.seen[0].body["model"]) == (1, "double")


@pytest.mark.parametrize(("path", "stream"), CALLS)
async def test_a_missing_model_is_the_default_one(orchestrator, engine, path, stream):
    async with orchestrator.client.post(path, json=asked(path, stream=stream, model=None)) as response:
        assert response.status == 200
    assert engine.seen[0].body["model"] == "double"


@pytest.mark.parametrize("path", ASKED)
async def test_what_an_endpoint_asks_for_is_named(orchestrator, engine, path):
    async with orchestrator.client.post(path, json={"model": "double"}) as response:
        assert response.status == 400
        assert (await response.json())["error"]["param"] == next(iter(ASKED[path]))
    assert not engine.seen


@pytest.mark.parametrize("path", ASKED)
async def test_the_wrong_method(orchestrator, path):
    async with orchestrator.client.get(path) as response:
        assert (response.status, response.headers["allow"]) == (405, "POST")
        assert (await response.json())["error"]["code"] == "method_not_allowed"


async def test_depth_and_choices_are_bounded(serve, engine):
    orchestrator = await serve(config_for(engine, limits={"maxDepth": 10, "maxChoices": 2}))
    status, error = await error_of(orchestrator, CHAT, deep=[[[[[[[[[[[[]]]]]]]]]]]])
    assert (status, error["code"]) == (400, "invalid_json")
    status, error = await error_of(orchestrator, CHAT, n=3)
    assert (status, error["param"]) == (400, "n")
    status, error = await error_of(orchestrator, COMPLETIONS, prompt=["a"] * 5000, n=2)
    assert (status, error["param"]) == (400, "prompt")
    assert not engine.seen


HARMFUL = {
    "lists": b"[]",
    "nested lists": b"[" * 99 + b"]" * 99,
    "objects": b'{"a":1}',
    "texts": b'"ab"',
    "numbers": b"1",
}


@pytest.mark.parametrize("path", [*ASKED, "/chat"])
@pytest.mark.parametrize("item", HARMFUL.values(), ids=HARMFUL)
async def test_bodies_that_would_become_many_objects(orchestrator, engine, path, item):
    raw = BytesIO(b'{"messages":[%b]}' % b",".join([item] * (2_000_000 // len(item))))
    async with orchestrator.client.post(path, data=raw, headers=JSON) as response:
        assert response.status == 400
        assert "more than" in await response.text()
    assert not engine.seen


@pytest.mark.parametrize("wrong", [b"[" + b"1," * 30_000 + b"1]", b"7", b'[{"role":"user"}]', b"[]"])
async def test_a_wrong_question_is_told_once_and_not_sent_back(orchestrator, wrong):
    async with orchestrator.client.post("/chat", data=b'{"messages":%b}' % wrong, headers=JSON) as response:
        assert response.status == 422
        (problem,) = (await response.json())["detail"]
    assert problem["loc"][:2] == ["body", "messages"]
    assert "input" not in problem


async def test_a_large_picture_and_a_large_table_pass(orchestrator, engine):
    for text in ("data:image/png;base64," + "A" * 9_000_000, "a,1;[{:" * 1_000_000, '{"a": [1, 2]},\\' * 500_000):
        body = asked(CHAT, padding=text)
        async with orchestrator.client.post(CHAT, data=BytesIO(orjson.dumps(body))) as response:
            assert response.status == 200
        assert engine.seen.pop().body == body


async def test_many_tokens_pass(orchestrator, engine):
    body = asked(EMBEDDINGS, input=[[*range(1000, 1500)]] * 500)
    async with orchestrator.client.post(EMBEDDINGS, data=BytesIO(orjson.dumps(body))) as response:
        assert response.status == 200
    assert engine.seen[0].body == body


@pytest.fixture
async def settled(serve, engine):
    settings = {
        "name": "double",
        "aliases": ["fast"],
        "systemPrompt": "Be brief.",
        "defaults": {"temperature": 0.1},
        "inject": {"priority": 1},
        "maxTokens": 50,
    }
    engine.priorities = True
    return await serve(config_for(engine, models=[settings]))


@pytest.mark.parametrize("tools", [[], [MATH_TOOL]])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_models_settings_reach_the_engine(settled, engine, tools, stream):
    body = question(model="fast", tools=tools, stream=stream, max_tokens=99)
    async with settled.client.post(CHAT, json=body) as response:
        assert response.status == 200
        await response.read()
    seen = engine.seen[0].body
    assert (seen["model"], seen["temperature"], seen["priority"], seen["max_tokens"]) == ("double", 0.1, 1, 50)
    assert seen["messages"] == [{"role": "system", "content": "Be brief."}, *body["messages"]]


async def test_simple_chat_is_planned_too(settled, engine):
    async with settled.client.post("/chat", json={"messages": [{"role": "user", "content": "?"}]}) as response:
        assert response.status == 200
    assert engine.seen[0].body["messages"][0]["content"] == "Be brief."
    assert engine.seen[0].body["max_tokens"] == 50


async def salts(orchestrator, engine, **fields):
    for key in ("a", "b", "a"):
        headers = {"Authorization": f"Bearer {key}"}
        async with orchestrator.client.post(CHAT, json=question(**fields), headers=headers) as response:
            assert response.status == 200
    return [seen.body.get("cache_salt") for seen in engine.seen]


async def test_each_tenant_has_a_cache_salt_of_its_own(serve, engine):
    orchestrator = await serve(config_for(engine, keys={"values": ["one:a", "two:b"]}))
    first, second, third = await salts(orchestrator, engine, cache_salt="theirs")
    assert first == third
    assert len({first, second, "theirs"}) == 3
    assert "one" not in first


async def test_without_keys_there_is_no_salt(orchestrator, engine):
    assert await salts(orchestrator, engine) == [None] * 3


async def test_other_engines_get_no_salt(serve, engine):
    upstream = {"name": "other", "type": "openai", "url": engine.url, "model": "double"}
    orchestrator = await serve(config_for(upstreams=[upstream], keys={"values": ["one:a", "two:b"]}))
    assert await salts(orchestrator, engine) == [None] * 3
