"""Rerankers, scores and images: to an engine and back, with all that a chat has."""

import asyncio
from typing import Any

import orjson
import pytest

from tests.engine_double import EngineDouble, Reply
from tests.sockets.running import AT_ONCE, config_for, until

RERANK, SCORE, IMAGES = "/v1/rerank", "/v1/score", "/v1/images/generations"
ASKED: dict[str, dict[str, Any]] = {
    RERANK: {"query": "red apple", "documents": ["a pear", "a red apple"]},
    SCORE: {"text_1": "red apple", "text_2": ["a pear", "a red apple"]},
    IMAGES: {"prompt": "a red apple", "n": 2},
}
USED = {RERANK: (14, 0), SCORE: (14, 0), IMAGES: (3, 2 * 1056)}
PATHS = list(ASKED)


@pytest.fixture(autouse=True)
def checks_often(monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.probe.CHECK_SECONDS", 0.05)


async def post(orchestrator, path, key=None, **fields):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    body = {"model": "double", **ASKED.get(path, {}), **fields}
    async with orchestrator.client.post(path, json=body, headers=headers) as response:
        return response.status, await response.json()


async def test_rerank_puts_documents_in_order(orchestrator, engine):
    status, body = await post(orchestrator, RERANK, top_n=2, return_documents=True)
    assert (status, [result["index"] for result in body["results"]]) == (200, [1, 0])
    assert engine.seen[0].body == {"model": "double", **ASKED[RERANK], "top_n": 2, "return_documents": True}


async def test_score_takes_each_pair_of_fields_that_vllm_does(orchestrator):
    for one, other in (("text_1", "text_2"), ("queries", "documents"), ("queries", "items"), ("data_1", "data_2")):
        async with orchestrator.client.post(SCORE, json={one: "red apple", other: ["pear", "red"]}) as response:
            assert [entry["score"] for entry in (await response.json())["data"]] == [0, 0.5]


async def test_images_by_openais_client(client, engine):
    images = await client.images.generate(model="double", prompt="a red apple", n=2, size="512x512")
    assert [image.b64_json is not None for image in images.data] == [True, True]
    assert engine.seen[0].body["size"] == "512x512"
    (image,) = (await client.images.generate(model="double", prompt="a pear", response_format="url")).data
    assert image.url


@pytest.mark.parametrize("path", PATHS)
async def test_usage_metrics_tenant_alias_and_defaults_are_a_chats(serve, engine, lines, path):
    keys = {"values": ["acme:tk-secret"]}
    models = [{"name": "double", "aliases": ["nice"], "defaults": {"user": "x"}, "systemPrompt": "never here"}]
    orchestrator = await serve(config_for(engine, keys=keys, models=models))
    assert (await post(orchestrator, path))[0] == 401
    status, _ = await post(orchestrator, path, "tk-secret", model="nice")
    assert status == 200
    assert engine.seen[0].body == {"model": "double", **ASKED[path], "user": "x"}  # and no cache_salt
    line = lines[-1]
    assert line["path"] == path
    assert (line["model"], line["tenant"]) == ("double", "acme")
    assert (line["prompt_tokens"], line["completion_tokens"]) == USED[path]


@pytest.mark.parametrize("path", PATHS)
async def test_tokens_count_against_limits(serve, engine, path):
    limits = {"defaults": {"tokensPerMinute": 10}}
    orchestrator = await serve(config_for(engine, keys={"values": ["acme:tk-secret"]}, rateLimits=limits))
    assert [(await post(orchestrator, path, "tk-secret"))[0] for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        ({"usage": {"total_tokens": 31}}, 31),
        ({"meta": {"tokens": {"input_tokens": 32}, "billed_units": {"search_units": 1}}}, 32),
        ({"meta": {"billed_units": {"search_units": 1}}}, 7),
        ({"usage": {"total_tokens": "many"}, "meta": []}, 7),
        ({"usage": {"input_tokens": 9, "output_tokens": 0, "total_tokens": 9}}, 9),
    ],
)
async def test_usage_in_jinas_and_coheres_words(orchestrator, engine, lines, answer, tokens):
    body = {"results": [{"index": 0, "relevance_score": 0.5}], **answer}
    engine.replies.append(Reply(raw=_http(body)))
    assert (await post(orchestrator, RERANK))[0] == 200
    assert lines[-1]["prompt_tokens"] == tokens


def _http(document):
    raw = orjson.dumps(document)
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(raw) + raw


@pytest.mark.parametrize("path", PATHS)
async def test_a_failure_is_tried_again_then_the_fallback_answers(serve, engine, path):
    async with EngineDouble("other") as other:
        models = [{"name": "double", "fallback": "other"}]
        orchestrator = await serve(config_for(engine, other, models=models))
        engine.replies.append(Reply(status=500))
        assert (await post(orchestrator, path))[0] == 200
        assert [len(engine.seen), len(other.seen)] == [2, 0]
        engine.rule = lambda _: Reply(fault="malformed_json")
        assert (await post(orchestrator, path))[0] == 200
        assert other.seen[0].body["model"] == "other"


async def test_a_request_waits_for_its_engine(serve, engine):
    engine.stop()
    orchestrator = await serve(config_for(engine))
    asking = asyncio.create_task(post(orchestrator, RERANK))
    await until(lambda: orchestrator.app.services.dispatcher.held("double"))
    await engine.start()
    assert (await asking)[0] == 200


@pytest.mark.parametrize("path", [*PATHS, "/v1/embeddings"])
async def test_an_engine_without_the_endpoint_is_asked_once_and_stays_in_use(serve, engine, path):
    engine.lacks.add(path)
    orchestrator = await serve(config_for(engine))
    status, body = await post(orchestrator, path, input="x")
    assert (status, body["error"]["code"], body["error"]["param"]) == (404, "endpoint_not_supported", "model")
    assert engine.lacked == [path]
    assert "'double'" in body["error"]["message"]
    assert path in body["error"]["message"]
    (replica,) = orchestrator.upstreams.all[0].replicas
    assert (replica.breaker.row, replica.available, replica.trouble) == (0, True, None)
    assert (await orchestrator.chat())[0] == 200


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        (501, {"error": {"message": "This server does not support reranking."}}, (404, "endpoint_not_supported")),
        (405, {"detail": "Method Not Allowed"}, (404, "endpoint_not_supported")),
        (400, {"error": {"message": "The model does not support Rerank API", "code": 400}}, (400, 400)),
        (404, {"error": {"message": "The model `double` does not exist.", "code": 404}}, (404, 404)),
    ],
)
async def test_what_engines_say_of_what_they_lack(serve, engine, status, error, told):
    orchestrator = await serve(config_for(engine))
    engine.replies.append(Reply(status=status, error=error))
    answered, body = await post(orchestrator, RERANK)
    assert ((answered, body["error"]["code"]), len(engine.seen)) == (told, 1)


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        (RERANK, {"query": ""}, "query"),
        (RERANK, {"query": 7}, "query"),
        (RERANK, {"documents": []}, "documents"),
        (RERANK, {"documents": None}, "documents"),
        (SCORE, {"text_2": None}, "text_2"),
        (SCORE, {"text_1": 1.5}, "text_1"),
        (IMAGES, {"prompt": None}, "prompt"),
        (IMAGES, {"n": 33}, "n"),
        (IMAGES, {"n": 0}, "n"),
        (IMAGES, {"n": "many"}, "n"),
        (IMAGES, {"stream": True}, "stream"),
        (IMAGES, {"prompt": ["a"] * 20}, "prompt"),
        (RERANK, {"model": ["double"]}, "model"),
    ],
)
async def test_bad_requests_name_the_field(orchestrator, engine, path, fields, param):
    status, body = await post(orchestrator, path, **fields)
    assert (status, body["error"]["param"]) == (400, param)
    assert not engine.seen


async def test_the_openapi_page_shows_them(orchestrator):
    _, document = await orchestrator.get("/openapi.json")
    assert set(PATHS) <= set(document["paths"])


@pytest.mark.parametrize("reply", [Reply(entries=[]), Reply(fault="wrong_type"), Reply(fault="cut")])
async def test_answers_that_are_none(serve, engine, reply):
    orchestrator = await serve(config_for(engine, **AT_ONCE))
    engine.replies.append(reply)
    assert (await post(orchestrator, RERANK))[0] == 502
