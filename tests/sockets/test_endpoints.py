"""The endpoints beside chat completions, request ids and metrics."""

import openai
import pytest

from tests.engine_double import EngineDouble, Reply
from tests.sockets.running import config_for, until

HELLO = {"messages": [{"role": "user", "content": "Hello, how are you?"}], "max_tokens": 50, "temperature": 0.7}
ATTEMPTS = 3


@pytest.fixture(autouse=True)
def checks_often(monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.probe.CHECK_SECONDS", 0.05)


async def test_simple_chat(orchestrator, engine):
    async with orchestrator.client.post("/chat", json=HELLO) as response:
        assert response.status == 200
        assert await response.json() == {"content": Reply().text, "finish_reason": "stop"}
    assert engine.seen[0].body == {"model": "double", **HELLO}


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": []},
        {"messages": [{"role": "robot", "content": "?"}]},
        {"messages": [{"role": "user"}]},
        {**HELLO, "max_tokens": -1},
        {**HELLO, "temperature": 3},
        {},
    ],
)
async def test_simple_chat_refuses_bad_input(orchestrator, engine, wrong):
    async with orchestrator.client.post("/chat", json=wrong) as response:
        assert response.status == 422
        assert (await response.json())["detail"][0]["loc"][0] == "body"
    assert not engine.seen


@pytest.mark.parametrize("reply", [Reply(fault="cut"), Reply(fault="not_http"), Reply(status=500), Reply(status=400)])
async def test_simple_chat_answers_502_for_an_engines_error(orchestrator, engine, reply):
    engine.replies += [reply] * ATTEMPTS
    async with orchestrator.client.post("/chat", json=HELLO) as response:
        assert response.status == 502
        assert (await response.json())["detail"]


async def test_models_come_from_the_engine_and_stay_while_it_is_down(client, orchestrator, engine):
    (model,) = (await client.models.list()).data
    assert (model.id, model.owned_by, model.model_dump()["max_model_len"]) == ("double", "vllm", 4096)
    assert model.model_dump()["ready"] is True
    engine.stop()
    await until(lambda: not orchestrator.upstreams.all[0].ready)
    (model,) = (await client.models.list()).data
    assert (model.id, model.model_dump()["ready"]) == ("double", False)


async def test_models_come_from_the_configuration_before_an_engine_answers(serve, engine):
    engine.stop()
    orchestrator = await serve(config_for(engine))
    _, body = await orchestrator.get("/v1/models")
    assert body == {
        "object": "list",
        "data": [{"id": "double", "object": "model", "created": 0, "owned_by": "tandem", "ready": False}],
    }


async def test_one_model(client):
    assert (await client.models.retrieve("double")).id == "double"
    with pytest.raises(openai.NotFoundError) as caught:
        await client.models.retrieve("org/other")
    assert caught.value.code == "model_not_found"


async def test_an_unconfigured_model_is_discovered(serve, engine):
    orchestrator = await serve(config_for(upstreams=[{"name": "engine", "url": engine.url}]))
    assert (await orchestrator.get("/health"))[1]["model"] == "double"
    async with orchestrator.client.post("/chat", json=HELLO) as response:
        assert response.status == 200


async def test_an_engine_of_unknown_models_gets_any_request(serve, engine):
    engine.stop()
    orchestrator = await serve(config_for(upstreams=[{"name": "engine", "url": engine.url}]))
    await engine.start()
    assert (await orchestrator.chat())[0] == 200


async def test_health_tells_the_engines_state(serve, engine):
    orchestrator = await serve(config_for(engine))
    status, body = await orchestrator.get("/health")
    assert (status, body["status"], body["backend"]) == (200, "ok", engine.url)
    assert body["upstreams"][0]["ready"] is True
    engine.stop()
    await until(lambda: not orchestrator.upstreams.all[0].ready)
    status, body = await orchestrator.get("/health")
    assert (status, body["status"]) == (200, "degraded")
    assert "cannot be reached" in body["upstreams"][0]["problem"]


async def test_ready_without_an_engine_but_not_while_draining(serve, engine):
    engine.stop()
    orchestrator = await serve(config_for(engine))
    status, body = await orchestrator.get("/ready")
    assert (status, body["status"]) == (200, "ready")
    assert body["degraded"][0].startswith("upstream engine-0: ")
    assert await orchestrator.get("/live") == (200, {"status": "ok"})
    orchestrator.app.services.state.draining = True
    async with orchestrator.client.get("/ready") as response:
        assert (response.status, response.headers["connection"]) == (503, "close")
        assert (await response.json())["status"] == "draining"
    assert await orchestrator.get("/live") == (200, {"status": "ok"})


async def test_not_ready_before_the_engines_were_checked(serve, engine):
    orchestrator = await serve(config_for(engine))
    orchestrator.upstreams.checked = False
    status, body = await orchestrator.get("/ready")
    assert (status, body["status"]) == (503, "starting")


async def test_one_bad_engine_does_not_hide_the_other(serve, engine):
    async with EngineDouble("other") as other:
        other.api_key = "unknown here"
        orchestrator = await serve(config_for(engine, other))
        _, body = await orchestrator.get("/v1/models")
    assert {entry["id"]: entry["ready"] for entry in body["data"]} == {"double": True, "other": False}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat"])
async def test_a_request_id_is_made_or_kept_and_handed_on(orchestrator, engine, path):
    for given, kept in (("trace-1.a:b", True), ("with space", False), ("x" * 129, False), (None, False)):
        headers = {"X-Request-Id": given} if given else {}
        async with orchestrator.client.post(path, json={"model": "double", **HELLO}, headers=headers) as response:
            returned = response.headers["x-request-id"]
        assert (returned == given) is kept
        assert returned
        assert engine.seen[-1].headers["x-request-id"] == returned


async def test_errors_carry_the_request_id_too(orchestrator):
    for path in ("/v1/chat/completions", "/nowhere", "/chat"):
        async with orchestrator.client.post(path, data=b"{", headers={"X-Request-Id": "mine"}) as response:
            assert response.status >= 400
            assert response.headers["x-request-id"] == "mine"


async def test_the_openapi_page_shows_the_endpoints(orchestrator):
    _, document = await orchestrator.get("/openapi.json")
    assert {"/chat", "/v1/models", "/v1/chat/completions", "/health", "/ready", "/live"} <= set(document["paths"])
    assert {"/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens"} <= set(document["paths"])


async def test_metrics(orchestrator, engine):
    async def metrics():
        async with orchestrator.client.get("/metrics") as response:
            assert response.status == 200
            found = {}
            for line in (await response.text()).splitlines():
                if not line.startswith("#"):
                    name, _, value = line.rpartition(" ")
                    found[name] = float(value)
            return found

    names = {
        'request_latency_seconds_count{route="/v1/chat/completions",status="200"}': 2,
        'request_latency_seconds_count{route="/v1/chat/completions",status="502"}': 1,
        'request_latency_seconds_count{route="/chat",status="200"}': 1,
        'request_latency_seconds_count{route="/v1/models/{model:path}",status="404"}': 1,
        'request_latency_seconds_count{route="other",status="404"}': 1,
        'tandem_tokens_total{kind="completion",model="double",tenant="anonymous"}': 42,
        'tandem_tokens_total{kind="prompt",model="double",tenant="anonymous"}': 21,
        'tandem_time_to_first_token_seconds_count{model="double"}': 1,
        'tandem_time_per_output_token_seconds_count{model="double"}': 1,
        'tandem_engine_seconds_count{upstream="engine-0"}': 3 + ATTEMPTS,
        'tandem_upstream_errors_total{reason="engine_cut",upstream="engine-0"}': ATTEMPTS,
    }
    before = await metrics()
    engine.replies += [Reply(), Reply(), *[Reply(fault="cut")] * ATTEMPTS]
    await orchestrator.chat()
    await orchestrator.stream()
    await orchestrator.chat()
    async with orchestrator.client.post("/chat", json=HELLO) as response:
        assert response.status == 200
    await orchestrator.get("/v1/models/unknown")
    await orchestrator.get("/a/path/somebody/tries")
    after = await metrics()
    assert {name: after[name] - before.get(name, 0) for name in names} == names
    assert after["tandem_requests_in_flight"] == 1
    assert after['tandem_upstream_ready{upstream="engine-0"}'] == 1
