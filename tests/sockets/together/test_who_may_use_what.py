"""A tenant reaches no model, adapter, engine or field that is not its own, by whatever endpoint and spelling."""

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest
from tandem_orchestrator.gateway.rewrite import salt

from tests.engine_double import EngineDouble
from tests.sockets.batches.asking import begun, client_of, ended, jsonl, line
from tests.sockets.oidc.issuer import running_issuer
from tests.sockets.running import QUESTION, config_for, question, until

POEMS = {"name": "poems", "path": "/adapters/poems"}
KEYS = ["poets:poet-key", "lawyers:lawyer-key"]
POET, LAWYER = ({"authorization": f"Bearer {name}-key"} for name in ("poet", "lawyer"))
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": QUESTION},
    "/v1/completions": {"prompt": "?"},
    "/v1/embeddings": {"input": "?"},
    "/v1/responses": {"input": "?", "store": False},
    "/v1/responses/input_tokens": {"input": "?"},
    "/v1/responses/compact": {"input": "?"},
    "/v1/messages": {"messages": QUESTION, "max_tokens": 9},
    "/v1/messages/count_tokens": {"messages": QUESTION},
    "/tokenize": {"prompt": "?"},
    "/v1/rerank": {"query": "?", "documents": ["a"]},
    "/v1/score": {"text_1": "?", "text_2": "a"},
    "/v1/moderations": {"input": "?"},
    "/v1/images/generations": {"prompt": "?"},
}
SPELLINGS = ("poems", "verse", "main:poems", "poems:latest", "POEMS", " poems", "poems\0", "\uff50oems", "p\u200boems")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where the database is that nobody names
    monkeypatch.setattr("tandem_orchestrator.engines.adapters.LEAST_PAUSE", 0.01)
    monkeypatch.setattr("tandem_orchestrator.engines.adapters.MOST_PAUSE", 0.05)


@pytest.fixture
async def engines():
    """vLLM with an adapter, SGLang as its fallback, and somebody else's server."""
    async with (
        EngineDouble("main") as main,
        EngineDouble("small", dialect="sglang") as small,
        EngineDouble("partner", api_key="partner-key") as partner,
    ):
        yield main, small, partner


def config(engines, *adapters, fallback_for=None, **settings):
    main, small, partner = engines
    upstreams = [
        {"name": "main", "url": main.url, "model": "main", "adapters": list(adapters or (POEMS,))},
        {"name": "small", "url": small.url, "model": "small", "type": "sglang"},
        {
            "name": "partner",
            "url": partner.url,
            "model": "partner",
            "type": "openai",
            "apiKeyValue": "partner-key",
        },
    ]
    models = [
        {"name": "main", "aliases": ["gpt"], "fallback": "small", "fallbackSeconds": 0.05},
        {"name": "small", "tenants": fallback_for},
        {"name": "poems", "aliases": ["verse"], "tenants": ["poets"]},
    ]
    return config_for(**{"upstreams": upstreams, "models": models, "keys": {"values": KEYS}, **settings})


async def post(orchestrator, path, body, headers):
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    headers = {"content-type": "application/json", **headers}
    async with orchestrator.client.post(path, data=data, headers=headers) as response:
        return response.status, await response.text()


async def metrics(orchestrator):
    async with orchestrator.client.get("/metrics", headers=LAWYER) as response:
        return await response.text()


def form(*fields):
    writer = aiohttp.FormData()
    for name, value in fields:
        writer.add_field(name, value)
    writer.add_field("file", b"RIFF", filename="a.wav")
    return writer


async def test_an_adapter_of_another_tenant_is_not_there(serve, engines):
    orchestrator = await serve(config(engines))
    await until(lambda: "poems" in engines[0].adapters)
    for path, body in BODIES.items():
        for name in SPELLINGS:
            status, text = await post(orchestrator, path, {**body, "model": name}, LAWYER)
            assert status == 404, (path, name, text)
            assert "does not exist here" in text
            assert "verse" not in text.partition("there are")[2]
        twice = orjson.dumps(body)[:-1] + b',"model":"main","model":"poems"}'
        assert (await post(orchestrator, path, twice, LAWYER))[0] == 404, path
    for path in ("/v1/audio/transcriptions", "/v1/audio/translations"):
        for fields, status in (([("model", "poems")], 404), ([("model", "main"), ("model", "poems")], 400)):
            async with orchestrator.client.post(path, data=form(*fields), headers=LAWYER) as response:
                assert response.status == status, (path, await response.text())
    for name in ("poems", "verse"):
        assert (await orchestrator.get(f"/v1/models/{name}", **LAWYER))[0] == 404
        assert (await orchestrator.get(f"/v1/models/{name}", **POET))[0] == 200
    assert not any(engine.seen or engine.tokenized for engine in engines)
    assert (await post(orchestrator, "/v1/chat/completions", question(model="verse"), POET))[0] == 200


async def test_of_two_models_in_json_the_one_that_is_checked_is_asked(serve, engines):
    orchestrator = await serve(config(engines))
    twice = b'{"messages":[{"role":"user","content":"?"}],"model":"poems","model":"gpt","lora_path":null}'
    assert (await post(orchestrator, "/v1/chat/completions", twice, LAWYER))[0] == 200
    assert engines[0].seen[-1].raw.count(b'"model"') == 1
    assert engines[0].seen[-1].body["model"] == "main"


async def test_an_adapter_that_is_taken_out_is_nobodys_while_its_engine_has_it(serve, engines):
    orchestrator = await serve(config(engines))
    await until(lambda: "poems" in engines[0].adapters)
    engines[0].lacks.add("/v1/unload_lora_adapter")
    orchestrator.app.reload(config(engines, {"name": "songs", "path": "/s"}, models=[]))
    await until(lambda: engines[0].lacked)
    assert "poems" in engines[0].adapters
    for headers in (LAWYER, POET):
        assert (await post(orchestrator, "/v1/chat/completions", question(model="poems"), headers))[0] == 404
    _, body = await orchestrator.get("/v1/models", **LAWYER)
    assert "poems" not in {entry["id"] for entry in body["data"]}
    orchestrator.app.reload(config(engines))
    assert (await post(orchestrator, "/v1/chat/completions", question(model="poems"), POET))[0] == 200


async def test_somebody_elses_server_gets_what_is_meant_for_it_alone(serve, engines):
    main, _, partner = engines
    partner.adapters = ["main", "expensive"]
    orchestrator = await serve(config(engines))
    for _ in range(8):
        assert (await post(orchestrator, "/v1/chat/completions", question(model="main"), LAWYER))[0] == 200
    assert (len(main.seen), len(partner.seen)) == (8, 0)
    assert (await post(orchestrator, "/v1/chat/completions", question(model="expensive"), LAWYER))[0] == 404
    assert (await post(orchestrator, "/v1/chat/completions", question(model="partner"), LAWYER))[0] == 200
    assert "lawyer-key" not in str(partner.seen[-1].headers)


async def test_a_fallback_answers_those_alone_who_may_use_it(serve, engines):
    main, small, _ = engines
    orchestrator = await serve(config(engines, fallback_for=["poets"]))
    main.stop()
    body = question(model="main", max_tokens=7)
    assert (await post(orchestrator, "/v1/chat/completions", body, POET))[0] == 200
    assert len(small.seen) == 1
    orchestrator.app.reload(config(engines, fallback_for=["poets"], hold={"maxRequests": 0}))
    assert (await post(orchestrator, "/v1/chat/completions", body, LAWYER))[0] in (502, 503)
    assert len(small.seen) == 1


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_tenants_prefixes_are_kept_apart_in_the_fallback_too(serve, engines, path):
    main, small, _ = engines
    settings = config(engines)
    settings.models[0].fallback = None
    settings.models[1].fallback, settings.models[1].fallback_seconds = "main", 0.0
    orchestrator = await serve(settings)
    small.stop()
    body = {**BODIES[path], "model": "small"}
    if path != "/v1/messages":
        body["cache_salt"] = salt("poets")
    assert (await post(orchestrator, path, body, LAWYER))[0] == 200
    assert main.seen[-1].body["cache_salt"] == salt("lawyers")


async def test_prefixes_are_kept_apart_of_who_waited_for_a_model_that_nobody_knew(serve, engines):
    main, _, _ = engines
    main.loading = True
    upstream = {"name": "main", "url": main.url, "type": "vllm"}
    orchestrator = await serve(config_for(upstreams=[upstream], keys={"values": KEYS}))
    body = {**BODIES["/v1/chat/completions"], "model": "main"}
    waiting = asyncio.create_task(post(orchestrator, "/v1/chat/completions", body, LAWYER))
    await until(lambda: orchestrator.app.services.dispatcher.held("main"))
    main.loading = False
    assert (await waiting)[0] == 200
    assert main.seen[-1].body["cache_salt"] == salt("lawyers")


async def test_what_is_an_engines_own_reaches_none(serve, engines):
    orchestrator = await serve(config(engines))
    for model in ("main", "small", "partner"):
        fields = {"rid": "theirs", "id_slot": 0, "cache_salt": salt("poets"), "priority": -9, "request_id": "x"}
        assert (await post(orchestrator, "/v1/chat/completions", question(model=model, **fields), LAWYER))[0] == 200
        for path, body in BODIES.items():
            status, text = await post(orchestrator, path, {**body, "model": model, "lora_path": "poems"}, LAWYER)
            assert (status, "lora_path" in text) == (400, True), (path, text)
        fields = form(("model", model), ("kv_transfer_params", '{"remote_host":"10.0.0.1"}'))
        async with orchestrator.client.post("/v1/audio/transcriptions", data=fields, headers=LAWYER) as response:
            assert response.status == 400
    seen = [each for engine in engines for each in engine.seen]
    assert len(seen) == 3
    for each in seen:
        assert each.body.keys().isdisjoint(("rid", "id_slot", "priority", "request_id", "lora_path")), each.path
        assert each.body.get("cache_salt") in (None, salt("lawyers"))


@pytest.mark.usefixtures("brisk")
async def test_a_batch_for_another_tenants_adapter_is_refused_before_it_begins(serve, engines, url, tmp_path):
    stores = {"database": {"url": url}, "files": {"folder": str(tmp_path / "files")}}
    orchestrator = await serve(config(engines, **stores))
    body = {"model": "verse", "messages": QUESTION}
    content = jsonl([line("1", body)])
    async with client_of(orchestrator, "lawyer-key") as lawyer, client_of(orchestrator, "poet-key") as poet:
        batch = await ended(lawyer, (await begun(lawyer, content)).id)
        assert (batch.status, batch.errors.data[0].code, batch.errors.data[0].param) == (
            "failed",
            "model_not_found",
            "body.model",
        )
        done = await ended(poet, (await begun(poet, content)).id)
        assert (done.status, done.request_counts.completed) == ("completed", 1)


async def test_hostile_claims_are_nobody(serve, engines, tmp_path):
    async with running_issuer(tmp_path) as issuer:
        claims = {"tenant": "org", "models": "/llm/models"}
        settings = issuer.settings(tenant=None, models=["main"], claims=claims, tenantPrefix="sso-")
        orchestrator = await serve(config(engines, oidc={"issuers": [settings]}))
        await until(lambda: orchestrator.app.services.keys.issuers.checked)

        async def status(model="main", more=None, **claims):
            headers = {"authorization": f"Bearer {issuer.sign(**claims)}", **(more or {})}
            return (await post(orchestrator, "/v1/chat/completions", question(model=model), headers))[0]

        nested: Any = "poets"
        for _ in range(90):
            nested = [nested]
        odd = [" ", "poets\n", "poets\0", "po ets", "p\u00f6ts", "x" * 125, ["poets"], {"a": 1}, 7, True, nested]
        for tenant in odd:
            assert await status(org=tenant) == 403, tenant
        assert await status("poems", org="poets", llm={"models": ["poems"]}) == 404, "it is sso-poets"
        assert await status("partner", org="a") == 403
        assert await status(org="a", llm={"models": [["main"]]}) == 403
        assert await status(org="a", llm=["main"]) == 200, "which says nothing of models: the setting does"
        assert await status(org="a", llm={"models": ["m"] * 257}) == 403
        assert await status(org="a", sub=["x"]) == 401
        assert await status(org="a", more={"x-api-key": "poet-key"}) == 401, "two that differ"
        assert await status(org="a") == 200
        assert f'issuer="{issuer.url}"' in await metrics(orchestrator)
        orchestrator.app.reload(config(engines))
        assert await status(org="a") == 401
        assert f'issuer="{issuer.url}"' not in await metrics(orchestrator)


async def test_usage_is_counted_once_whoever_answers_and_however_it_is_asked(serve, engines):
    main, small, _ = engines
    orchestrator = await serve(config(engines, rateLimits={"defaults": {"tokensPerMinute": 100_000}}))
    used = 0

    async def spent(path, body):
        nonlocal used
        async with orchestrator.client.post(path, json=body, headers=LAWYER) as response:
            assert response.status == 200, await response.text()
            left = int(response.headers["x-ratelimit-remaining-tokens"])  # before this one
            await response.read()
        now = 100_000 - left
        before, used = used, now
        return now - before

    bodies = [
        (path, {**BODIES[path], "model": model, **({"stream": True} if stream else {})})
        for model in ("main", "gpt")
        for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses")
        for stream in (False, True)
    ]
    await spent(*bodies[0])
    costs = []
    for path, body in [*bodies[1:], bodies[0]]:
        costs.append(await spent(path, body))
    main.stop()
    costs += [await spent(*bodies[0]), await spent(*bodies[1]), await spent(*bodies[0])]
    assert len(small.seen) == 3
    assert min(costs) > 0
    assert max(costs) == min(costs), costs
