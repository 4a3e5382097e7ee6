"""Several models, their aliases and adapters behind one endpoint, and a configuration that changes."""

import asyncio

import pytest
from tandem_contract.config import KeyLimits
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.engines.catalogue import Catalogue

from tests.engine_double import EngineDouble, Reply
from tests.sockets.running import config_for, question, until


@pytest.fixture
async def large():
    async with EngineDouble("large") as double:
        yield double


def holder(*models):
    return Principal("k", "t", KeyLimits(), frozenset(models))


async def entries(orchestrator):
    _, body = await orchestrator.get("/v1/models")
    return {entry["id"]: entry for entry in body["data"]}


async def test_aliases_are_listed_and_lead_to_their_model(serve, engine, large):
    models = [{"name": "large", "aliases": ["gpt-4", "best"]}, {"name": "nowhere", "aliases": ["lost"]}]
    orchestrator = await serve(config_for(engine, large, models=models))
    listed = await entries(orchestrator)
    assert set(listed) == {"double", "large", "gpt-4", "best"}, "what no engine serves is not offered"
    assert (listed["best"]["alias_of"], listed["best"]["ready"]) == ("large", True)
    assert "alias_of" not in listed["large"]
    for name in ("gpt-4", "large"):
        assert (await orchestrator.chat(model=name))[0] == 200
    assert [seen.body["model"] for seen in large.seen] == ["large", "large"]
    assert (await orchestrator.chat(model="lost"))[0] == 404
    assert not engine.seen


async def test_a_key_hears_of_the_models_that_it_may_use_alone(serve, engine, large, tmp_path):
    keys = tmp_path / "keys.yaml"
    keys.write_text(
        "- {name: one, key: one, models: [best]}\n- {name: none, key: none, models: [gone]}\n- {name: all, key: all}"
    )
    models = [{"name": "large", "aliases": ["best"]}]
    orchestrator = await serve(config_for(engine, large, models=models, keys={"files": [{"file": str(keys)}]}))
    for key, there in (("one", "; there are: best"), ("none", ""), ("all", "; there are: best, double, large")):
        headers = {"Authorization": f"Bearer {key}"}
        async with orchestrator.client.post(
            "/v1/chat/completions", json=question(model="nothing"), headers=headers
        ) as response:
            assert response.status == 404
            message = (await response.json())["error"]["message"]
        assert message == f"the model 'nothing' does not exist here{there}"


async def test_adapters_are_routed_by_name(serve, engine, large):
    large.adapters = ["poems"]
    orchestrator = await serve(config_for(engine, large))
    listed = await entries(orchestrator)
    assert (listed["poems"]["parent"], listed["poems"]["ready"]) == ("large", True)
    assert (await orchestrator.chat(model="poems"))[0] == 200
    large.adapters.append("songs")
    await until(lambda: "songs" in orchestrator.upstreams.all[1].listed)
    assert (await orchestrator.chat(model="songs"))[0] == 200
    assert [seen.body["model"] for seen in large.seen] == ["poems", "songs"]


async def test_an_adapter_is_known_while_its_engine_is_away(serve, engine):
    engine.adapters = ["poems"]
    orchestrator = await serve(config_for(engine))
    engine.stop()
    await until(lambda: not orchestrator.upstreams.all[0].ready)
    assert (await entries(orchestrator))["poems"]["ready"] is False
    asking = asyncio.create_task(orchestrator.chat(model="poems"))
    await until(lambda: "double" in orchestrator.app.services.dispatcher._hold.lines)
    await engine.start()
    assert (await asking)[0] == 200


async def test_a_configured_adapter_is_waited_for_until_its_engine_tells(serve, engine):
    engine.stop()
    orchestrator = await serve(config_for(engine, models=[{"name": "poems"}, {"name": "songs"}]))
    assert set(await entries(orchestrator)) == {"double", "poems", "songs"}
    asking = [asyncio.create_task(orchestrator.chat(model=name)) for name in ("poems", "songs")]
    await until(lambda: len(orchestrator.app.services.dispatcher._hold.lines) == 2)
    engine.adapters = ["poems"]
    await engine.start()
    assert [status for status, _ in await asyncio.gather(*asking)] == [200, 404]


async def test_two_engines_of_one_model_share_its_requests(serve, engine):
    async with EngineDouble() as second:
        orchestrator = await serve(config_for(engine, second, routing={"prefixAffinity": False}))
        for _ in range(20):
            await orchestrator.chat()
        assert min(len(engine.seen), len(second.seen)) > 4
        assert list(await entries(orchestrator)) == ["double"]


async def test_a_server_without_a_list_of_models_serves(serve, engine):
    upstream = {"name": "e", "url": f"{engine.url}/below", "type": "openai", "model": "m"}
    orchestrator = await serve(config_for(upstreams=[upstream]))
    assert (await entries(orchestrator))["m"]["ready"] is True
    assert (await orchestrator.chat(model="m"))[0] == 404, "which the server says itself"


async def test_a_key_sees_only_its_models(serve, engine, large):
    orchestrator = await serve(config_for(engine, large, models=[{"name": "large", "aliases": ["best"]}]))
    catalogue = orchestrator.app.services.catalogue
    assert [entry["id"] for entry in catalogue.entries(holder("large"))] == ["large", "best"]
    assert [entry["id"] for entry in catalogue.entries(holder("best"))] == ["best"]
    assert catalogue.entries(holder()) == []


async def test_a_clients_word_is_no_models_name(serve, engine):
    engine.stop()
    orchestrator = await serve(config_for(upstreams=[{"name": "e", "url": engine.url}]))
    catalogue = orchestrator.app.services.catalogue
    assert catalogue.find("anything").known is False
    await engine.start()
    await until(lambda: orchestrator.upstreams.all[0].ready)
    assert catalogue.find("double").known is True


def test_cache_salts_are_for_vllm():
    upstreams = [
        {"name": "a", "url": "http://a", "model": "pure"},
        {"name": "b", "url": "http://b", "model": "mixed"},
        {"name": "c", "url": "http://c", "model": "mixed", "type": "openai"},
    ]
    from tandem_orchestrator.engines.upstreams import Upstreams

    catalogue = Catalogue([], Upstreams(config_for(upstreams=upstreams)))
    assert [catalogue.find(name).takes_cache_salt for name in ("pure", "mixed")] == [True, False]


async def test_a_changed_configuration_keeps_what_it_does_not_change(serve, engine, large):
    orchestrator = await serve(config_for(engine))
    assert (await orchestrator.chat())[0] == 200
    kept = orchestrator.upstreams.all[0].replicas
    connections = set(kept[0].pool._all)
    changed = config_for(engine, large, models=[{"name": "large", "aliases": ["best"]}], timeouts={"idleSeconds": 7})
    orchestrator.app.reload(changed)
    assert (await orchestrator.chat(model="best"))[0] == 200
    assert (await orchestrator.chat())[0] == 200
    assert orchestrator.upstreams.all[0].replicas == kept
    assert connections <= kept[0].pool._all
    assert kept[0].pool.timeouts.idle_seconds == 7


async def test_an_upstream_that_is_taken_out_finishes_its_requests(serve, engine, large):
    orchestrator = await serve(config_for(engine, large))
    large.replies.append(Reply(" ".join(["word"] * 10), between_pieces=0.02))
    body = question(stream=True, model="large")
    async with orchestrator.client.post("/v1/chat/completions", json=body) as response:
        await response.content.readline()
        cut = asyncio.create_task(orchestrator.chat(model="large", double={"before_first_byte": 30}))
        await until(lambda: len(large.seen) == 2)
        orchestrator.app.reload(config_for(engine))
        assert (await orchestrator.chat(model="large"))[0] == 404
        assert (await response.text()).endswith("data: [DONE]\n\n")
    large.stop()
    assert (await cut)[0] == 404, "what fails has nobody to go to"
    async with orchestrator.client.get("/metrics") as metrics:
        assert 'tandem_upstream_ready{upstream="engine-1"}' not in await metrics.text()


async def test_who_waits_for_an_engine_meets_the_one_that_takes_its_place(serve, engine, large):
    large.model = "double"
    engine.stop()
    orchestrator = await serve(config_for(engine))
    asking = asyncio.create_task(orchestrator.chat())
    await until(lambda: "double" in orchestrator.app.services.dispatcher._hold.lines)
    orchestrator.app.reload(config_for(large))
    assert (await asking)[0] == 200
    assert len(large.seen) == 1
