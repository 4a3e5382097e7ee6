"""Vectors by an engine, in every way that engines answer."""

import asyncio
import math

import pytest
from prometheus_client import REGISTRY
from tandem_orchestrator.errors import EmbedderAway, Malformed, TextRefused, WrongVectors
from tandem_orchestrator.retrieval.embedding import engine_embedder
from tandem_orchestrator.retrieval.embedding.identity import Identity
from tandem_orchestrator.retrieval.embedding.vector import numbers

from tests.engine_double import Embedding, EngineDouble, Reply
from tests.sockets.retrieval.asking import TEXTS, config, embedder_of, embedding, expected, record
from tests.sockets.running import until


def about(vectors):
    return [pytest.approx(expected(text), abs=1e-5) for text in vectors]


@pytest.mark.parametrize(
    "model",
    [
        Embedding(),
        Embedding(only_lists=True),
        Embedding(length=17.0),
        Embedding(only_lists=True, length=0.01),
        Embedding(refuses=("encoding_format",)),
        Embedding(spoil=lambda data: data[::-1]),
    ],
    ids=["base64", "lists", "long", "short lists", "refuses base64", "other order"],
)
async def test_each_text_gets_its_vector_however_the_engine_answers(engine, model):
    engine.rule = model
    async with embedding(config(engine, embedding={"batchSize": 4})) as embedder:
        assert embedder.identity == Identity("double", None)
        assert [numbers(vector) for vector in await embedder.documents(TEXTS, record())] == about(TEXTS)
        assert numbers(await embedder.query("which?", record())) == pytest.approx(expected("which?"), abs=1e-5)
        assert embedder.identity == Identity("double", 8)
        assert embedder.problem is None
    assert {len(seen.body["input"]) for seen in engine.seen} == {4, 2, 1}


async def test_base64_is_asked_for_until_it_is_refused(engine):
    engine.rule = Embedding(refuses=("encoding_format",))
    async with embedding(config(engine)) as embedder:
        await embedder.query("one", record())
        await embedder.query("two", record())
    assert ["encoding_format" in seen.body for seen in engine.seen] == [True, False, False]


async def test_two_batches_of_which_each_is_refused_its_base64_stay_whole(engine):
    engine.rule = Embedding(refuses=("encoding_format",))
    async with embedding(config(engine, embedding={"batchSize": 5})) as embedder:
        await embedder.documents(TEXTS, record())
    assert [len(seen.body["input"]) for seen in engine.seen] == [5, 5, 5, 5]


async def test_no_text_is_no_request(engine):
    async with embedding(config(engine)) as embedder:
        assert await embedder.documents([], record()) == []
    assert engine.seen == []


async def test_prompts_and_dimensions_go_along_and_are_remembered(engine):
    engine.rule = Embedding()
    settings = {"documentPrompt": "passage: ", "queryPrompt": "query: ", "dimensions": 4}
    async with embedding(config(engine, embedding=settings)) as embedder:
        await embedder.documents(["one", "two"], record())
        await embedder.query("three", record())
        assert embedder.identity == Identity("double", 4, "passage: ", "query: ")
    assert [seen.body["input"] for seen in engine.seen] == [["passage: one", "passage: two"], ["query: three"]]
    assert {seen.body["dimensions"] for seen in engine.seen} == {4}


async def test_an_engine_that_refuses_dimensions_is_no_fault_of_the_text(engine):
    engine.rule = Embedding(refuses=("dimensions",))
    async with embedding(config(engine, embedding={"dimensions": 4})) as embedder:
        with pytest.raises(EmbedderAway, match=r"refuses retrieval\.embedding\.dimensions: Unsupported"):
            await embedder.documents(TEXTS, record())
        assert "dimensions" in str(embedder.problem)
    assert len(engine.seen) == 1


async def test_an_engine_that_ignores_dimensions_is_found_out(engine):
    engine.rule = lambda request: Embedding()({**request, "dimensions": None})
    async with embedding(config(engine, embedding={"dimensions": 4})) as embedder:
        with pytest.raises(WrongVectors, match="8 numbers where 4 were expected"):
            await embedder.query("which?", record())


async def test_a_text_that_is_too_long_is_named_and_the_others_are_well(engine):
    engine.rule = Embedding(characters=50)
    texts = [*TEXTS, "x" * 51, *TEXTS]
    async with embedding(config(engine, embedding={"batchSize": 8})) as embedder:
        with pytest.raises(TextRefused, match="maximum context length is 50") as caught:
            await embedder.documents(texts, record())
        assert caught.value.position == 10
        with pytest.raises(TextRefused):
            await embedder.query("x" * 51, record())
        assert len(await embedder.documents(TEXTS, record())) == len(TEXTS)


async def test_an_engine_that_takes_fewer_texts_at_once_is_asked_for_fewer(engine):
    engine.rule = Embedding(texts=3)
    async with embedding(config(engine)) as embedder:
        vectors = await embedder.documents(TEXTS, record())
        assert [numbers(vector) for vector in vectors] == about(TEXTS)
        refused = len(engine.seen)
        await embedder.documents(TEXTS, record())
    assert [len(seen.body["input"]) for seen in engine.seen[refused:]] == [3, 3, 3, 1]


def cut_off(data):
    return data[:-1]


def twice(data):
    return [data[0], *data[:-1]]


def with_nan(data):
    return [*data[:-1], {**data[-1], "embedding": "AADAfwAAgD8="}]


def with_words(data):
    return [*data[:-1], {**data[-1], "embedding": ["a", "b"]}]


def with_zero(data):
    return [*data[:-1], {**data[-1], "embedding": [0.0] * 8}]


def of_another_size(data):
    return [*data[:-1], {**data[-1], "embedding": [1.0] * 7}]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut_off, "9 vectors for 10 texts"),
        (twice, "index"),
        (with_nan, "none, or infinite"),
        (with_words, "numbers"),
        (with_zero, "zero"),
        (of_another_size, "7 numbers where 8 were expected"),
    ],
)
async def test_vectors_that_are_none_are_refused_with_what_is_wrong(engine, spoil, said):
    engine.rule = Embedding(spoil=spoil)
    async with embedding(config(engine)) as embedder:
        with pytest.raises(WrongVectors, match=said):
            await embedder.documents(TEXTS, record())
        assert said in str(embedder.problem)


async def test_json_with_nan_is_refused(engine):
    body = b'{"data":[{"index":0,"embedding":[NaN,1.0]}]}'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    engine.rule = lambda _: Reply(raw=head + body)
    async with embedding(config(engine)) as embedder:
        with pytest.raises(Malformed, match="not JSON"):
            await embedder.query("which?", record())


async def test_another_model_behind_the_same_name_is_found_out(engine):
    engine.rule = Embedding(dimension=8)
    async with embedding(config(engine)) as embedder:
        await embedder.query("one", record())
        engine.rule = Embedding(dimension=6)
        with pytest.raises(WrongVectors, match="another model is behind its name"):
            await embedder.query("two", record())


@pytest.mark.parametrize(
    "reply",
    [Reply(status=503), Reply(status=500), Reply(status=429), Reply(status=401), Reply(status=404), Reply(fault="cut")],
    ids=lambda reply: str(reply.status if reply.status != 200 else reply.fault),
)
async def test_an_engine_that_fails_is_tried_later(engine, reply):
    engine.rule = lambda _: reply
    async with embedding(config(engine)) as embedder:
        with pytest.raises(EmbedderAway, match="'double' cannot be asked now"):
            await embedder.documents(TEXTS, record())
        engine.rule = Embedding()
        assert len(await embedder.documents(TEXTS, record())) == len(TEXTS)
        assert embedder.problem is None


async def test_an_engine_that_is_not_there_is_tried_later_and_shows(serve, engine):
    orchestrator = await serve(config(engine))
    engine.stop()
    embedder = embedder_of(orchestrator)
    with pytest.raises(EmbedderAway):
        await embedder.query("which?", record())
    _, ready = await orchestrator.get("/ready")
    assert any("embedding: the embedding model 'double' cannot be asked now" in line for line in ready["degraded"])


async def test_a_model_that_no_engine_has_is_tried_later(engine):
    async with embedding(config(engine, embedding={"model": "other"})) as embedder:
        with pytest.raises(EmbedderAway, match="'other' does not exist here"):
            await embedder.query("which?", record())


async def test_texts_wait_for_an_engine_that_comes_back_as_all_requests_do(engine, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.probe.CHECK_SECONDS", 0.05)
    engine.rule = Embedding()
    async with embedding(config(engine, hold={"maxRequests": 100}, routing={"retries": 2})) as embedder:
        engine.stop()
        waiting = asyncio.create_task(embedder.documents(TEXTS, record()))
        await until(
            lambda: REGISTRY.get_sample_value("tandem_held_requests", {"class": "interactive", "model": "double"}) == 1
        )
        await engine.start()
        assert len(await waiting) == len(TEXTS)


async def test_a_silent_engine_is_tried_later_and_shows(engine, monkeypatch):
    monkeypatch.setattr(engine_embedder, "PATIENCE_SECONDS", 0.3)
    engine.rule = Reply(before_first_byte=60)
    async with embedding(config(engine)) as embedder:
        with pytest.raises(EmbedderAway, match=r"did not answer 2 texts within 0\.3 s"):
            await embedder.documents(TEXTS[:2], record())
        assert "retrieval.embedding.batchSize" in str(embedder.problem)
        engine.rule = Embedding()
        assert len(await embedder.documents(TEXTS[:2], record())) == 2
        assert embedder.problem is None


async def test_a_fallbacks_vectors_are_never_taken(engine):
    async with EngineDouble("spare") as spare:
        spare.rule = Embedding()
        engine.rule = lambda _: Reply(status=500)
        models = [{"name": "double", "fallback": "spare"}]
        async with embedding(config(engine, spare, models=models)) as embedder:
            with pytest.raises(EmbedderAway):
                await embedder.query("which?", record())
        assert spare.seen == []


async def test_few_batches_are_under_way_and_a_question_waits_for_none(engine):
    engine.rule = lambda _: Reply(fault="hang", fault_after=0)
    async with embedding(config(engine, embedding={"batchSize": 1})) as embedder:
        documents = [asyncio.create_task(embedder.documents(TEXTS, record())) for _ in range(2)]
        await until(lambda: engine.running == engine_embedder.BATCHES)
        engine.rule = Embedding()
        await embedder.query("which?", record())
        assert len(engine.seen) == engine_embedder.BATCHES + 1
        for task in documents:
            task.cancel()
        await asyncio.wait(documents)
        await until(lambda: engine.running == 0)


async def test_tokens_are_those_of_whoever_asks(engine):
    engine.rule = Embedding()
    asker = record()
    asker.model, asker.upstream = "chat", "other"
    async with embedding(config(engine, embedding={"batchSize": 4})) as embedder:
        await embedder.documents(TEXTS, asker)
    assert (asker.prompt_tokens, asker.model, asker.upstream) == (7 * len(TEXTS), "chat", "other")


async def test_tenants_are_kept_apart_in_an_engines_cache(engine):
    engine.rule = Embedding()
    async with embedding(config(engine)) as embedder:
        for tenant in ("acme", "other"):
            await embedder.query("which?", record(tenant))
    one, other = (seen.body["cache_salt"] for seen in engine.seen)
    assert one != other


async def test_other_settings_take_effect_and_who_has_the_former_goes_on(serve, engine):
    engine.rule = Embedding()
    orchestrator = await serve(config(engine))
    before = embedder_of(orchestrator)
    orchestrator.app.reload(config(engine))
    assert embedder_of(orchestrator) is before
    orchestrator.app.reload(config(engine, embedding={"dimensions": 3}))
    assert len(numbers(await embedder_of(orchestrator).query("which?", record()))) == 3
    assert len(numbers(await before.query("which?", record()))) == 8
    assert math.isclose(math.sumprod(expected("which?"), expected("which?")), 1)
