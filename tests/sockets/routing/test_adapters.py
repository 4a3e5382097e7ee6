"""Adapters that come and go with the configuration, while their engine serves."""

import asyncio

import pytest

from tests.engine_double import EngineDouble, Reply
from tests.sockets.running import config_for, question, until

POEMS, SONGS = {"name": "poems", "path": "/adapters/poems"}, {"name": "songs", "path": "org/songs"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.engines.adapters.LEAST_PAUSE", 0.01)
    monkeypatch.setattr("tandem_orchestrator.engines.adapters.MOST_PAUSE", 0.05)


@pytest.fixture(params=["vllm", "sglang"])
async def engine(request):
    async with EngineDouble(dialect=request.param, api_key="sk-engine") as double:
        yield double


def config(*adapters, engine, **settings):
    upstream = {"name": "e", "url": engine.url, "type": engine.kind, "model": engine.model, "adapters": list(adapters)}
    upstream["api_key_value"] = engine.api_key
    return config_for(upstreams=[upstream], **settings)


async def ids(orchestrator, **headers):
    _, body = await orchestrator.get("/v1/models", **headers)
    return [entry["id"] for entry in body["data"]]


async def test_they_are_loaded_and_asked_for_by_name(serve, engine):
    orchestrator = await serve(config(POEMS, SONGS, engine=engine))
    assert await ids(orchestrator) == ["double", "poems", "songs"]
    assert (await orchestrator.chat(model="songs"))[0] == 200, "it waits until it is loaded"
    assert engine.roots == {"poems": "/adapters/poems", "songs": "org/songs"}
    assert [(seen.body["model"], seen.adapter) for seen in engine.seen] == [("songs", "songs")]


async def test_they_change_while_requests_run(serve, engine):
    orchestrator = await serve(config(POEMS, engine=engine))
    replica = orchestrator.upstreams.all[0].replicas[0]
    long = asyncio.create_task(orchestrator.chat(model="double", double={"before_first_byte": 0.3}))
    await until(lambda: engine.adapters == ["poems"] and engine.running)
    orchestrator.app.reload(config(SONGS, engine=engine))
    await until(lambda: engine.adapters == ["songs"])
    await until(lambda: replica.names == {"double", "songs"})
    assert (await long)[0] == 200
    assert orchestrator.upstreams.all[0].replicas == [replica], "its connections and state are kept"
    assert (await orchestrator.chat(model="poems"))[0] == 404
    orchestrator.app.reload(config({**SONGS, "path": "/elsewhere"}, engine=engine))
    await until(lambda: engine.adapters == ["songs"] and engine.roots["songs"] == "/elsewhere")


async def test_one_that_another_orchestrator_loaded_stays(serve, engine):
    engine.adapters.append("other")
    engine.roots["other"] = "/adapters/other"
    orchestrator = await serve(config(POEMS, engine=engine))
    await until(lambda: "poems" in engine.adapters)
    assert "other" in engine.adapters
    assert (await orchestrator.chat(model="other"))[0] == 200
    assert engine.seen[-1].adapter == "other"


async def test_two_orchestrators_do_not_disturb_each_other(serve, engine):
    orchestrators = [await serve(config(POEMS, SONGS, engine=engine)) for _ in range(2)]
    for orchestrator in orchestrators:
        assert (await orchestrator.chat(model="poems"))[0] == 200
        assert orchestrator.upstreams.problems == []
    assert sorted(engine.adapters) == ["poems", "songs"]


async def test_a_new_process_of_the_engine_gets_them_again(serve, engine):
    orchestrator = await serve(config(POEMS, engine=engine))
    await until(lambda: engine.adapters == ["poems"])
    engine.stop()
    await until(lambda: not orchestrator.upstreams.all[0].ready, 10.0)
    engine.adapters.clear()
    engine.roots.clear()
    await engine.start()
    assert (await orchestrator.chat(model="poems"))[0] == 200


async def test_one_that_fails_is_told_and_the_others_serve(serve, engine):
    engine.broken["org/songs"] = "LoRA rank 64 is greater than max_lora_rank 16."
    orchestrator = await serve(config(SONGS, POEMS, engine=engine))
    await until(lambda: engine.adapters == ["poems"])
    await until(lambda: orchestrator.upstreams.problems)
    (problem,) = orchestrator.upstreams.problems
    assert problem.startswith("adapter songs: ")
    assert "rank 64 is greater" in problem
    assert (await orchestrator.chat(model="poems"))[0] == 200
    engine.broken.clear()
    await until(lambda: orchestrator.upstreams.problems == [])
    assert (await orchestrator.chat(model="songs"))[0] == 200


async def test_what_another_orchestrator_could_load_is_no_problem_any_more(serve, engine):
    engine.broken["org/songs"] = "it is not there yet"
    orchestrator = await serve(config(SONGS, engine=engine))
    await until(lambda: orchestrator.upstreams.problems)
    engine.adapters.append("songs")
    engine.roots["songs"] = "org/songs"
    await until(lambda: orchestrator.upstreams.problems == [], 10.0)


async def test_to_other_tenants_it_does_not_exist(serve, engine, tmp_path):
    keys = tmp_path / "keys.yaml"
    keys.write_text("- {name: a, key: a, tenant: poets}\n- {name: b, key: b, tenant: lawyers}")
    settings = {
        "models": [{"name": "poems", "aliases": ["verse"], "tenants": ["poets"]}],
        "keys": {"files": [{"file": str(keys)}]},
    }
    orchestrator = await serve(config(POEMS, engine=engine, **settings))
    poet, lawyer = {"Authorization": "Bearer a"}, {"Authorization": "Bearer b"}
    assert await ids(orchestrator, **poet) == ["double", "poems", "verse"]
    assert await ids(orchestrator, **lawyer) == ["double"]
    for name in ("poems", "verse"):
        for headers, status in ((poet, 200), (lawyer, 404)):
            body = question(model=name)
            async with orchestrator.client.post("/v1/chat/completions", json=body, headers=headers) as response:
                assert response.status == status
                told = await response.text()
        assert "there are: double" in told


async def test_an_engine_that_loads_none_is_asked_for_none(serve, engine):
    upstream = {"name": "e", "url": engine.url, "model": "double", "type": "openai", "adapters": [POEMS]}
    orchestrator = await serve(config_for(upstreams=[{**upstream, "api_key_value": engine.api_key}]))
    assert (await orchestrator.chat())[0] == 200
    assert engine.adapters == []


async def test_no_request_gets_another_adapter_by_its_own_word(serve, engine):
    """Which SGLang takes it for, whatever the model's name."""
    orchestrator = await serve(config(POEMS, SONGS, engine=engine))
    await until(lambda: len(engine.adapters) == 2)
    assert (await orchestrator.chat(model="poems", lora_path="songs"))[0] == 400
    assert (await orchestrator.chat(model="poems"))[0] == 200
    assert (await orchestrator.chat(model="double"))[0] == 200
    assert [seen.adapter for seen in engine.seen] == ["poems", None]
    assert (await orchestrator.chat(model="double:songs"))[0] == 404


@pytest.fixture
async def sglang():
    async with EngineDouble(dialect="sglang") as double:
        yield double


async def test_one_that_sglang_has_half_forgotten_is_forgotten_wholly_and_loaded(serve, sglang):
    sglang.half_dropped.add("poems")
    orchestrator = await serve(config(POEMS, engine=sglang))
    await until(lambda: sglang.adapters == ["poems"])
    assert (await orchestrator.chat(model="poems"))[0] == 200
    assert orchestrator.upstreams.problems == []


async def test_one_that_a_request_brought_back_is_forgotten_again(serve, sglang):
    orchestrator = await serve(config(POEMS, engine=sglang))
    await until(lambda: sglang.adapters == ["poems"])
    orchestrator.app.reload(config(engine=sglang))
    await until(lambda: sglang.adapters == [])
    body = question(lora_path="poems")  # as of another orchestrator, which has not heard of it yet
    async with orchestrator.client.post(f"{sglang.url}/v1/chat/completions", json=body) as response:
        assert response.status == 200
    assert sglang.adapters == ["poems"]
    orchestrator.upstreams.all[0].replicas[0].doubt()
    await until(lambda: sglang.adapters == [])


async def test_a_fallback_of_another_type_hears_nothing_of_adapters(serve, sglang, engine):
    strict = {"name": "f", "url": engine.url, "type": engine.kind, "model": "double", "api_key_value": engine.api_key}
    sglang.model = "base"
    first = {"name": "e", "url": sglang.url, "type": "sglang", "model": "base", "adapters": [POEMS]}
    models = [{"name": "poems", "fallback": "double"}]
    orchestrator = await serve(config_for(upstreams=[first, strict], models=models))
    await until(lambda: sglang.adapters == ["poems"])
    await until(lambda: "poems" in orchestrator.upstreams.all[0].replicas[0].names)
    sglang.rule = lambda _: Reply(status=500)
    assert (await orchestrator.chat(model="poems"))[0] == 200
    (seen,) = engine.seen
    assert "lora_path" not in seen.body


async def test_what_turns_out_to_be_an_adapter_is_asked_for_as_one(serve, sglang):
    """Its own list alone says so, and comes when the request waits already."""
    sglang.adapters.append("poems")
    sglang.loading = True
    orchestrator = await serve(config_for(upstreams=[{"name": "e", "url": sglang.url, "type": "sglang"}]))
    waiting = asyncio.create_task(orchestrator.chat(model="poems"))
    await until(lambda: orchestrator.app.services.dispatcher.held("poems"))
    sglang.loading = False
    assert (await waiting)[0] == 200
    assert sglang.seen[-1].adapter == "poems"
