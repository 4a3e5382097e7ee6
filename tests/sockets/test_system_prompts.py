"""System prompts of a model and of a tenant, whichever API a chat comes by."""

from datetime import UTC, datetime

import pytest

from tests.engine_double import Reply
from tests.sockets.running import config_for

TENANT = "You work for {{ tenant }}. Today is {{ date }}."
MODEL = "You are {{ model }}."
SETTINGS = {
    "models": [{"name": "double", "aliases": ["nice"], "systemPrompt": MODEL}],
    "tenants": [{"name": "acme", "systemPrompt": TENANT}],
    "keys": {"values": ["acme:sk-acme", "other:sk-other"]},
}


def chat(system):
    messages = [*([] if system is None else [{"role": "system", "content": system}]), {"role": "user", "content": "Hi"}]
    return "/v1/chat/completions", {"model": "nice", "messages": messages}


def responses(system):
    return "/v1/responses", {"model": "nice", "input": "Hi", "instructions": system, "store": False}


def messages(system):
    asked = {"model": "nice", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    return "/v1/messages", asked | ({} if system is None else {"system": system})


@pytest.mark.parametrize("api", [chat, responses, messages])
async def test_they_go_first_on_each_way(serve, engine, api):
    orchestrator = await serve(config_for(engine, **SETTINGS))

    async def told(key, system, **fields):
        path, asked = api(system)
        headers = {"authorization": f"Bearer {key}"}
        async with orchestrator.client.post(path, json=asked | fields, headers=headers) as response:
            assert response.status == 200, await response.text()
            await response.read()
        first, *rest = engine.seen[-1].body["messages"]
        assert [message["role"] for message in rest] == ["user"]
        return first["content"]

    before = datetime.now(UTC).date()
    found = await told("sk-acme", None)
    days = (before, datetime.now(UTC).date())
    assert found in [f"You work for acme. Today is {day}.\n\nYou are double." for day in days]
    assert await told("sk-other", None) == "You are double."
    assert await told("sk-other", "Be brief.") == "Be brief."
    for fields in ({}, {"stream": True}):
        assert await told("sk-acme", "Be {{ brief }}.", **fields) in [
            f"You work for acme. Today is {day}.\n\nBe {{{{ brief }}}}." for day in days
        ]


async def test_the_service_asks_a_guard_model_for_itself(serve, engine):
    engine.rule = lambda _: Reply("safe")
    tenants = [{"name": "anonymous", "systemPrompt": "Sing."}]
    orchestrator = await serve(config_for(engine, tenants=tenants, moderations={"model": "double"}))
    async with orchestrator.client.post("/v1/moderations", json={"input": "Hi"}) as response:
        assert response.status == 200
    assert [message["role"] for message in engine.seen[-1].body["messages"]] == ["user"]


async def test_one_that_cannot_be_made_says_so(serve, engine):
    prompt = "{% if tenant == 'acme' %}{{ tenant.name }}{% endif %}"
    orchestrator = await serve(config_for(engine, **SETTINGS | {"tenants": [{"name": "acme", "systemPrompt": prompt}]}))
    path, asked = chat(None)
    headers = {"authorization": "Bearer sk-acme"}
    async with orchestrator.client.post(path, json=asked, headers=headers) as response:
        error = (await response.json())["error"]
    assert (response.status, error["code"]) == (500, "system_prompt_unusable")
    assert "there is no `name` in a text" in error["message"]
    assert not engine.seen
