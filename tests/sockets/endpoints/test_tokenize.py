"""/tokenize: what a prompt or a chat comes to, with all that this service adds to it."""

import pytest

from tests.engine_double import EngineDouble
from tests.sockets.running import AT_ONCE, MATH_TOOL, QUESTION, config_for

PROMPT = "You know a secret."


async def tokenize(orchestrator, key=None, **fields):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with orchestrator.client.post("/tokenize", json=fields, headers=headers) as response:
        return response.status, await response.json()


async def test_a_prompt_as_vllm_has_it(orchestrator, engine, lines):
    status, body = await tokenize(orchestrator, model="double", prompt="one two three", add_special_tokens=False)
    assert (status, body) == (200, {"count": 3, "max_model_len": 4096, "tokens": [0, 1, 2], "token_strs": None})
    assert engine.tokenized == [{"model": "double", "prompt": "one two three", "add_special_tokens": False}]
    assert (lines[-1]["path"], lines[-1]["model"]) == ("/tokenize", "double")
    assert "prompt_tokens" not in lines[-1]


async def test_a_chat_counts_as_it_would_be_sent_and_shows_no_text_of_ours(serve, engine):
    models = [{"name": "double", "aliases": ["nice"], "systemPrompt": PROMPT}]
    orchestrator = await serve(config_for(engine, models=models, tools={"attach": "always"}))
    status, body = await tokenize(orchestrator, model="nice", messages=QUESTION)
    asked = engine.tokenized[0]
    assert (asked["model"], asked["messages"]) == ("double", [{"role": "system", "content": PROMPT}, *QUESTION])
    assert status == 200
    assert len(asked["tools"]) == 2
    assert body == {"count": 8 + 5 + 20, "max_model_len": 4096, "tokens": [], "token_strs": None}
    assert (await orchestrator.chat())[0] == 200
    sent = engine.seen[0].body
    assert (sent["messages"], sent["tools"]) == (asked["messages"], asked["tools"])


@pytest.mark.parametrize("kind", ["sglang", "llamacpp"])
async def test_other_engines_tell_the_number_in_their_own_ways(serve, kind):
    async with EngineDouble(dialect=kind) as engine:
        upstream = {"name": "e", "url": engine.url, "model": "double", "type": kind}
        orchestrator = await serve(config_for(upstreams=[upstream]))
        status, body = await tokenize(orchestrator, model="double", messages=QUESTION)
    assert (status, body["count"], body["max_model_len"]) == (200, 5, 4096)


async def test_what_the_client_says_itself_is_shown(serve, engine):
    models = [{"name": "double", "systemPrompt": PROMPT, "defaults": {"temperature": 0}}]
    orchestrator = await serve(config_for(engine, models=models))
    own = [{"role": "system", "content": "Hi"}, *QUESTION]
    _, body = await tokenize(orchestrator, messages=own, tools=[MATH_TOOL | {"strict": True}])
    assert (body["count"], len(body["tokens"])) == (20, 20)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"messages": []}, "messages"),
        ({"messages": "x"}, "messages"),
        ({"prompt": "x", "messages": QUESTION}, "prompt"),
        ({"prompt": "x", "stream": True}, "stream"),
    ],
)
async def test_wrong_requests(orchestrator, engine, fields, param):
    status, body = await tokenize(orchestrator, **fields)
    assert (status, body["error"]["param"]) == (400, param)
    assert not engine.tokenized


async def test_keys_models_and_engines_without_it(serve, engine):
    settings = config_for(engine, keys={"values": ["acme:tk-secret"]}, **AT_ONCE)
    settings.upstreams[0].type = type(settings.upstreams[0].type)("openai")
    orchestrator = await serve(settings)
    assert (await tokenize(orchestrator, prompt="x"))[0] == 401
    assert (await tokenize(orchestrator, "tk-secret", model="nothing", prompt="x"))[0] == 404
    status, body = await tokenize(orchestrator, "tk-secret", prompt="x")
    assert (status, body["error"]["code"]) == (404, "endpoint_not_supported")
