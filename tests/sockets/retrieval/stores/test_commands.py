"""tandem-orchestrator stores, as a person runs it, beside an orchestrator that does the work."""

import json

import pytest
import yaml
from tandem_orchestrator.retrieval import upkeep
from tandem_orchestrator.retrieval.embedding import static_embedder

from tests.engine_double import EngineDouble
from tests.engine_double.embedding import Embedding
from tests.sockets.retrieval.stores.documents import PLANETS, RIVERS
from tests.sockets.running import until_awaited


@pytest.fixture(autouse=True)
def embeds(engine, monkeypatch):
    engine.rule = Embedding()
    monkeypatch.setattr(upkeep, "SWEEP_SECONDS", 0.05)
    monkeypatch.setattr("tandem_orchestrator.store_commands.commands.LOOK_SECONDS", 0.05)


@pytest.fixture
def stores(command, tmp_path, kept):
    """Runs `stores` with the settings of a service, whose embedding they may change."""

    async def run(*arguments, **embedding):
        file = tmp_path / "config.yaml"
        file.write_text(yaml.safe_dump({"files": kept.settings, "retrieval": {"embedding": embedding}}))
        return await command("stores", *arguments, "--config", str(file))

    return run


@pytest.fixture
def listed(stores):
    """What `stores list` tells."""

    async def run(*arguments, **embedding):
        code, out, error = await stores("list", "--output", "json", *arguments, **embedding)
        assert (code, error) == (0, "")
        return json.loads(out)

    return run


async def test_stores_are_listed_with_what_made_them(stores, listed, documents):
    store = await documents.store(RIVERS, PLANETS, name="the world")
    (found,) = await listed(model="double")
    chunks = found.pop("chunks")
    assert chunks > 0
    assert found == {
        "tenant": "team-a",
        "id": store.id,
        "name": "the world",
        "model": "double",
        "dimension": 8,
        "files": 2,
        "waiting": 0,
        "state": "current",
        "problem": None,
    }
    assert [each["state"] for each in await listed(model="other")] == ["outdated"]
    assert [each["state"] for each in await listed()] == ["outdated"], "vectors that nothing would make"
    assert await listed("--tenant", "team-b", model="double") == []
    _, out, _ = await stores("list", model="double")
    headings, row = out.splitlines()
    assert headings.split()[:4] == ["TENANT", "ID", "NAME", "MODEL"]
    assert "the world" in row


async def test_many_stores_are_listed_page_by_page(listed, documents, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.store_commands.listed.PAGE", 1)
    made = [(await documents.client.vector_stores.create()).id for _ in range(3)]
    assert sorted(made) == [each["id"] for each in await listed(model="double")]


async def test_all_stores_of_another_model_are_indexed_anew(stores, listed, start, documents, orchestrator):
    store = await documents.store(RIVERS)
    await orchestrator.stop()  # it knows no other model, and would put the work off
    async with EngineDouble(model="other") as other:
        other.rule = Embedding(dimension=12)
        upstreams = [{"name": each.model, "url": each.url, "model": each.model} for each in (other,)]
        await start({"embedding": {"model": "other"}}, upstreams=upstreams)
        code, out, error = await stores("reindex", "--all", "--wait", model="other")
        assert code == 0, error
        assert f"{store.id} of team-a is indexed anew: 1 files." in out
        assert "1 vector stores are searched in their new index." in out
        assert "vector stores wait for" in error
        found = {each["id"]: each for each in await listed(model="other")}
        assert (found[store.id]["model"], found[store.id]["dimension"]) == ("other", 12)
        assert {each["state"] for each in found.values()} == {"current"}
        code, out, _ = await stores("reindex", "--all", model="other")
        assert (code, out) == (0, "All vector stores are made as the settings are now.")


async def test_a_store_without_files_is_indexed_anew_too(stores, listed, documents, orchestrator):
    empty = await documents.client.vector_stores.create()
    code, out, _ = await stores("reindex", empty.id, model="other")
    assert (code, out) == (0, f"{empty.id} of team-a is indexed anew: 0 files.")

    async def found():
        return (await listed(model="other"))[0]

    await until_awaited(found, lambda store: (store["state"], store["model"]) == ("current", "other"), 20)


async def test_named_stores_are_indexed_anew_whatever_made_them(stores, listed, documents, engine):
    one, other = await documents.store(RIVERS), await documents.store(PLANETS)
    asked = len(engine.seen)
    code, out, _ = await stores("reindex", one.id, one.id, "--wait", "--tenant", "team-a", model="double")
    assert code == 0
    assert other.id not in out
    assert len(engine.seen) > asked

    async def states():
        return {each["state"] for each in await listed(model="double")}

    await until_awaited(states, lambda found: found == {"current"})


async def test_what_keeps_a_new_index_from_its_place_is_told(stores, listed, documents, engine):
    store = await documents.store(RIVERS)
    engine.rule = Embedding(characters=3)
    code, out, _ = await stores("reindex", store.id, model="double")
    assert (code, out) == (0, f"{store.id} of team-a is indexed anew: 1 files.")

    async def problem():
        return (await listed(model="double"))[0]

    await until_awaited(problem, lambda found: found["problem"] and "while it was indexed anew" in found["problem"], 20)
    found = await problem()
    assert (found["state"], found["waiting"]) == ("reindexing", 1)
    code, out, _ = await stores("reindex", store.id, model="double")
    assert (code, out) == (0, f"{store.id} of team-a is being indexed anew already: 1 files wait.")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("reindex",), "say --all"),
        (("reindex", "vs_1", "--all"), "say --all"),
        (("reindex", "vs_1"), "there is no vector store vs_1"),
        (("reindex", "vs_1", "--tenant", "team-b"), "there is no vector store vs_1 of 'team-b'"),
    ],
)
async def test_what_cannot_be_done_is_said(stores, documents, arguments, told):
    await documents.client.vector_stores.create()
    code, out, error = await stores(*arguments, model="double")
    assert (code, out) == (1, "")
    assert told in error


async def test_a_static_model_that_cannot_be_read_marks_no_store(stores, documents, tmp_path, monkeypatch):
    await documents.client.vector_stores.create()
    monkeypatch.setattr(static_embedder, "NEEDED", ("no_such_library",))
    code, _, error = await stores("reindex", "--all", path=str(tmp_path))
    assert code == 1
    assert "tandem-orchestrator[embeddings]" in error


@pytest.mark.parametrize("url", ["sqlite:////nowhere/tandem.db"])
async def test_without_a_database_there_are_no_stores(stores, url):
    code, _, error = await stores("list")
    assert (code, error) == (1, "there is no database yet, and so no vector store\n")
