"""System prompts of models and tenants in lines of batches."""

import pytest

from tests.engine_double import Reply
from tests.sockets.batches.asking import begun, client_of, config, content, ended, jsonl, line

pytestmark = pytest.mark.usefixtures("brisk")

SETTINGS = {
    "models": [{"name": "double", "aliases": ["nice"], "systemPrompt": "You are {{ model }}."}],
    "tenants": [{"name": "acme", "systemPrompt": "You work for {{ tenant }}."}],
    "keys": {"values": ["acme:sk-acme", "other:sk-other"]},
}
TOLD = {  # by who asks, and by whether the line has a system message of its own
    ("sk-acme", False): "You work for acme.\n\nYou are double.",
    ("sk-acme", True): "You work for acme.\n\nBe {{ brief }}.",
    ("sk-other", False): "You are double.",
    ("sk-other", True): "Be {{ brief }}.",
}
BUSY = {"error": {"message": "busy", "type": "server_error", "param": None, "code": 429}}


def chat(own):
    system = [{"role": "system", "content": "Be {{ brief }}."}] if own else []
    return {"model": "nice", "messages": [*system, {"role": "user", "content": "Hi"}]}


def responses(own):
    return {"model": "nice", "input": "Hi", "instructions": "Be {{ brief }}." if own else None}


APIS = {"/v1/chat/completions": chat, "/v1/responses": responses}


@pytest.mark.parametrize("path", APIS)
@pytest.mark.parametrize("asker", TOLD)
async def test_they_go_first_however_often_a_line_is_tried(serve, engine, tmp_path, path, asker):
    key, own = asker
    server = await serve(config(engine, f"sqlite:///{tmp_path}/tandem.db", tmp_path / "files", **SETTINGS))
    engine.rule = lambda _: Reply() if len(engine.seen) > 2 else Reply(status=429, error=BUSY)
    async with client_of(server, key) as client:
        batch = await ended(client, (await begun(client, jsonl([line("a", APIS[path](own), url=path)]), path)).id)
        assert len(await content(client, batch.output_file_id)) == 1
    assert len(engine.seen) > 2
    for seen in engine.seen:
        assert [(message["role"], message["content"]) for message in seen.body["messages"]] == [
            ("system", TOLD[asker]),
            ("user", "Hi"),
        ]


async def test_one_that_cannot_be_made_is_an_error_of_its_line(serve, engine, tmp_path):
    prompt = "{% if tenant == 'acme' %}{{ tenant.name }}{% endif %}"
    settings = SETTINGS | {"tenants": [{"name": "acme", "systemPrompt": prompt}]}
    server = await serve(config(engine, f"sqlite:///{tmp_path}/tandem.db", tmp_path / "files", **settings))
    async with client_of(server, "sk-acme") as client:
        batch = await ended(client, (await begun(client, jsonl([line("a", chat(own=False))]))).id)
        (error,) = await content(client, batch.error_file_id)
    assert (error["response"]["status_code"], error["response"]["body"]["error"]["code"]) == (
        500,
        "system_prompt_unusable",
    )
    assert not engine.seen
