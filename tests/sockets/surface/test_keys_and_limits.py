"""Keys and limits on every endpoint, and the ledger's figures."""

import asyncio

import pytest
from tandem_orchestrator.engines import estimate
from tandem_orchestrator.limits.limiter import Ticket

from tests.engine_double import EngineDouble, Reply
from tests.sockets.running import COMPILED, MATH_TOOL, NO_PATCHES, config_for, question, until
from tests.sockets.surface.asking import CALLS, CHAT, STREAMS, USED, asked

GUARDED = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/chat"]
OPEN = ["/live", "/ready", "/health", "/docs", "/redoc", "/openapi.json"]
KEY = {"Authorization": "Bearer right"}


@pytest.fixture
async def locked(serve, engine):
    return await serve(config_for(engine, keys={"values": ["team:right"]}))


@pytest.fixture
def settled(monkeypatch):
    """Tokens of each call of `settle`, by ticket."""
    if COMPILED:
        pytest.skip(NO_PATCHES)
    calls: dict[int, list[int]] = {}
    tickets = []
    real = Ticket.settle

    def settle(ticket, tokens):
        tickets.append(ticket)
        calls.setdefault(id(ticket), []).append(tokens)
        real(ticket, tokens)

    monkeypatch.setattr(Ticket, "settle", settle)
    return calls


def tokens_of(settled):
    assert all(len(calls) == 1 for calls in settled.values()), "each ticket is settled once"
    return [tokens for (tokens,) in settled.values()]


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"X-API-Key": "wrong"}])
async def test_without_a_good_key_nothing_is_answered(locked, engine, path, headers):
    async with locked.client.post(path, data=b"{", headers=headers) as response:
        assert response.status == 401
        body = await response.json()
    assert body["error"]["type"] == "authentication_error" if path.startswith("/v1") else body["detail"]
    assert not engine.seen


@pytest.mark.parametrize("headers", [KEY, {"X-API-Key": "right"}])
async def test_either_header_will_do(locked, headers):
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/embeddings"):
        async with locked.client.post(path, json=asked(path), headers=headers) as response:
            assert response.status == 200
    async with locked.client.post("/chat", json={"messages": question()["messages"]}, headers=headers) as response:
        assert response.status == 200
    async with locked.client.get("/v1/models", headers=headers) as response:
        assert response.status == 200


async def test_models_need_a_key_and_health_does_not(locked):
    for path in ("/v1/models", "/v1/models/double"):
        async with locked.client.get(path) as response:
            assert response.status == 401
    for path in OPEN:
        async with locked.client.get(path) as response:
            assert response.status == 200, path


async def test_a_key_that_may_not_use_a_model(serve, engine, tmp_path):
    file = tmp_path / "keys.yaml"
    file.write_text("- key: right\n  tenant: team\n  models: [small]\n")
    async with EngineDouble("small") as small:
        orchestrator = await serve(config_for(engine, small, keys={"files": [{"file": str(file)}]}))
        for path, stream in CALLS:
            async with orchestrator.client.post(path, json=asked(path, stream=stream), headers=KEY) as response:
                assert response.status == 403
                error = (await response.json())["error"]
                assert (error["type"], error["param"]) == ("permission_error", "model")
            body = asked(path, stream=stream, model="small")
            async with orchestrator.client.post(path, json=body, headers=KEY) as response:
                assert response.status == 200
        async with orchestrator.client.get("/v1/models", headers=KEY) as response:
            assert [model["id"] for model in (await response.json())["data"]] == ["small"]
    assert not engine.seen


async def test_every_answer_tells_the_limits(serve, engine):
    limits = {"defaults": {"requestsPerMinute": 6, "tokensPerMinute": 1000}}
    orchestrator = await serve(config_for(engine, keys={"values": ["right"]}, rateLimits=limits))
    engine.replies += [Reply(), Reply(), Reply(status=400)]
    requests = [
        (CHAT, question(), 200),
        (CHAT, question(stream=True), 200),
        (CHAT, question(), 400),
        (CHAT, {}, 400),
        (CHAT, question(model="gpt-9"), 404),
        ("/chat", {"messages": []}, 422),
        (CHAT, question(), 429),
    ]
    left = []
    for path, body, status in requests:
        async with orchestrator.client.post(path, json=body, headers=KEY) as response:
            await response.read()
            assert response.status == status
            assert response.headers["x-ratelimit-limit-requests"] == "6"
            left.append(int(response.headers["x-ratelimit-remaining-requests"]))
            assert ("retry-after" in response.headers) == (status == 429)
    assert left == [5, 4, 3, 2, 1, 0, 0]


@pytest.mark.parametrize(("path", "stream"), CALLS)
async def test_tokens_are_settled(orchestrator, settled, path, stream):
    async with orchestrator.client.post(path, json=asked(path, stream=stream)) as response:
        text = await response.text()
    assert ('"usage":{' in text) is not stream, "a stream's usage is for the ledger alone"
    assert tokens_of(settled) == [sum(USED[path])]


@pytest.mark.parametrize(("path", "stream"), STREAMS)
async def test_usage_that_was_asked_for_is_given_and_counted(orchestrator, settled, path, stream):
    body = asked(path, stream=stream, stream_options={"include_usage": True})
    async with orchestrator.client.post(path, json=body) as response:
        text = await response.text()
    assert text.count('"choices":[],"usage":{') == 1
    assert tokens_of(settled) == [sum(USED[path])]


@pytest.mark.parametrize("stream", [False, True])
async def test_all_passes_with_tools_are_settled_together(orchestrator, engine, settled, stream):
    body = question(messages=[{"role": "user", "content": "Calculate 2 * 3"}], tools=[MATH_TOOL], stream=stream)
    async with orchestrator.client.post(CHAT, json=body) as response:
        await response.read()
    assert len(engine.seen) == 2
    assert tokens_of(settled)[0] > 7 + 14


@pytest.mark.parametrize(
    "reply", [Reply(status=500), Reply(fault="cut"), Reply(fault="malformed_json"), Reply(status=400)]
)
async def test_failures_are_settled_and_free_their_place(serve, engine, settled, reply):
    orchestrator = await serve(
        config_for(engine, routing={"retries": 0}, rateLimits={"defaults": {"concurrentRequests": 1}})
    )
    engine.replies.append(reply)
    assert (await orchestrator.chat())[0] >= 400
    assert (await orchestrator.chat())[0] == 200
    assert tokens_of(settled) == [0, 21]


PROMPT_OF_100 = [{"role": "user", "content": "x" * 396}]  # tokens, by the estimate


@pytest.mark.parametrize("fields", [{}, {"tools": [MATH_TOOL], "tandem": {"tools": False}}, {"tools": [MATH_TOOL]}])
async def test_a_stream_that_its_client_left_is_charged_for_prompt_and_tokens(serve, engine, settled, fields):
    orchestrator = await serve(config_for(engine, rateLimits={"defaults": {"concurrentRequests": 1}}))
    counted = await tokens_metric(orchestrator)
    engine.replies.append(Reply("one two three four", fault="hang", fault_after=4))
    body = question(messages=PROMPT_OF_100, stream=True, **fields)
    response = await orchestrator.client.post(CHAT, json=body)
    text = ""
    while "three" not in text:
        text += (await response.content.readline()).decode()
    assert (await orchestrator.chat())[0] == 429, "its place is taken"
    response.close()
    await until(lambda: len(settled) == 1)
    prompt = estimate.usage(engine.seen[0].raw)["prompt_tokens"]
    assert prompt > 100 if fields else prompt == 100
    assert tokens_of(settled) == [prompt + 4]
    assert await tokens_metric(orchestrator) == {
        "prompt": counted["prompt"] + prompt,
        "completion": counted["completion"] + 4,
    }
    assert (await orchestrator.chat())[0] == 200


@pytest.mark.parametrize("path", ["/chat", CHAT])
@pytest.mark.parametrize("stream", [False, True])
async def test_who_leaves_before_the_answer_is_charged_for_the_prompt(orchestrator, engine, settled, path, stream):
    engine.replies.append(Reply(before_first_byte=30))
    body = question(messages=PROMPT_OF_100, stream=stream)
    asking = asyncio.create_task(orchestrator.client.post(path, json=body))
    await until(lambda: engine.running)
    asking.cancel()
    await until(lambda: settled)
    assert tokens_of(settled) == [100]


async def test_who_leaves_while_waiting_for_an_engine_is_charged_nothing(serve, engine, settled):
    engine.stop()
    orchestrator = await serve(config_for(engine))
    asking = asyncio.create_task(orchestrator.chat())
    await until(lambda: "double" in orchestrator.app.services.dispatcher._hold.lines)
    asking.cancel()
    await until(lambda: settled)
    assert tokens_of(settled) == [0]


async def tokens_metric(orchestrator):
    """What tandem_tokens_total says, by kind."""
    async with orchestrator.client.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    start = "tandem_tokens_total{"
    return {
        kind: sum(float(line.split()[-1]) for line in lines if line.startswith(start) and f'kind="{kind}"' in line)
        for kind in ("prompt", "completion")
    }


async def test_the_openapi_page_tells_of_endpoints_and_keys(orchestrator):
    _, document = await orchestrator.get("/openapi.json")
    schemes = document["components"]["securitySchemes"]
    assert (schemes["HTTPBearer"]["scheme"], schemes["APIKeyHeader"]["name"]) == ("bearer", "X-API-Key")
    for path in GUARDED:
        operation = document["paths"][path]["post"]
        assert {next(iter(scheme)) for scheme in operation["security"]} == schemes.keys()
        assert "requestBody" in operation
