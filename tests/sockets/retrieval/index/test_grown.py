"""Indexes large enough for what `tend` makes; the sizes from which it does are lowered."""

from math import hypot
from random import Random

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tandem_contract.config import Database as DatabaseSettings
from tandem_orchestrator.errors import DatabaseDown
from tandem_orchestrator.retrieval.index import indexes, postgresql, sqlite
from tandem_orchestrator.retrieval.index.chunks import Query, floats
from tandem_orchestrator.retrieval.index.indexes import Indexes
from tandem_orchestrator.store.database import Database

from tests.sockets.retrieval.index.contents import add, chunk, new_id, places

FILES = 10
CHUNKS = 30
DIMENSIONS = 32


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(sqlite, "REST", 50)
    monkeypatch.setattr(sqlite, "FOLDED", 70)
    monkeypatch.setattr(sqlite, "CANDIDATES", 40)
    monkeypatch.setattr(postgresql, "HNSW_FROM", 200)
    monkeypatch.setattr(postgresql, "FEW", 50)
    monkeypatch.setattr(indexes, "COUNT_FROM", 100)
    monkeypatch.setattr(indexes, "SEARCHED", 5)


@pytest.fixture
async def grown(database, small):
    """Each file's vectors lie in a direction of its own."""
    index = Indexes(database).index(new_id(), DIMENSIONS)
    await index.create()
    random = Random(1)
    for n in range(FILES):
        texts = [f"common word{n} only{n}x{p}" for p in range(CHUNKS)]
        of_file = [chunk(f"f{n}", p, _near(random, n), text) for p, text in enumerate(texts)]
        await add(database, index, *of_file)
        await index.tend()
    return index


def _towards(n: int) -> list[float]:
    return [Random(f"{n} {d}").choice((-3.0, 3.0)) for d in range(DIMENSIONS)]


def _near(random: Random, n: int) -> list[float]:
    return [random.gauss(value, 2) for value in _towards(n)]


@pytest.mark.parametrize("files", [None, ["f3"], ["f3", "f4", "f5"]])
async def test_what_is_near_is_found(grown, files):
    found = await grown.search(Query(5, vector=_towards(3), files=files))
    assert len(found) == 5
    assert {each.file_id for each in found} == {"f3"}
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


async def test_removed_file_is_gone_from_what_was_made(database, grown):
    await grown.remove("f3")
    assert "f3" not in {each.file_id for each in await grown.search(Query(200, vector=_towards(3)))}
    assert await grown.search(Query(5, text="word3")) == []
    assert await grown.count() == (FILES - 1) * CHUNKS
    await add(database, grown, chunk("f3", 0, _towards(3), "word3"))
    assert places(await grown.search(Query(1, vector=_towards(3)))) == [("f3", 0)]


async def test_common_words_are_not_looked_for(database, grown):
    assert places(await grown.search(Query(5, text="common only3x7"))) == [("f3", 7)]
    assert len(await grown.search(Query(5, text="common"))) == 5


async def test_tending_again_changes_nothing(grown):
    before = await grown.search(Query(20, vector=_towards(1), text="word2"))
    for _ in range(3):
        await grown.tend()
    assert await grown.search(Query(20, vector=_towards(1), text="word2")) == before


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_broken_build_is_built_anew(url, database, grown):
    connection = await asyncpg.connect(url)
    try:
        name = f"tandem_near_{grown.id}"
        valid = f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{name}'::regclass"
        assert await connection.fetchval(valid) is True
        await connection.execute(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass")
        await grown.tend()
        assert await connection.fetchval(valid) is True
        await connection.execute("SELECT pg_advisory_lock($1)", int(grown.id[-15:], 16))
        await connection.execute(f"DROP INDEX {name}")
        await grown.tend()  # somebody else is at it
        assert await connection.fetchval(f"SELECT to_regclass('{name}') IS NULL")
    finally:
        await connection.close()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_role_that_may_not_create_tables_learns_what_to_grant(url, postgres, database):
    await Indexes(database).index(new_id(), 2).create()
    connection = await asyncpg.connect(url)
    role = f"role_{new_id()}"
    try:
        await connection.execute(f"CREATE ROLE {role} LOGIN")
        await connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
    finally:
        await connection.close()
    poor = Database(DatabaseSettings(url=url.replace("postgres:secret-password", role)))
    try:
        with pytest.raises(DatabaseDown, match="GRANT CREATE ON SCHEMA public") as caught:
            await Indexes(poor).index(new_id(), 2).create()
        assert caught.value.code == "vectors_unavailable"
        assert poor.problem is None  # all else goes on
    finally:
        await poor.close()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_missing_extension_is_said(url, postgres, database):
    await database.system()
    connection = await asyncpg.connect(url)
    role = f"role_{new_id()}"
    try:
        await connection.execute(f"CREATE ROLE {role} LOGIN")
        await connection.execute(f"GRANT ALL ON SCHEMA public TO {role}")
        await connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        # it is trusted where it is installed, so that who may create in the database may add it
    finally:
        await connection.close()
    poor = Database(DatabaseSettings(url=url.replace("postgres:secret-password", role)))
    try:
        with pytest.raises(DatabaseDown, match="CREATE EXTENSION vector"):
            await Indexes(poor).index(new_id(), 2).create()
    finally:
        await poor.close()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_sqlite_without_numpy_is_said(database, monkeypatch):
    monkeypatch.setattr(indexes, "find_spec", lambda _: None)
    with pytest.raises(DatabaseDown, match="sqlite-vectors"):
        await Indexes(database).index(new_id(), 2).create()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_no_bytes_of_a_removed_file_are_left(url, database, grown):
    vector = [1.2345678, -2.3456789, 3.4567891, 4.5678912] * (DIMENSIONS // 4)
    secret = chunk("gone", 0, vector, "heliotrope contents")
    needles = [b"heliotrope", floats(vector, DIMENSIONS).tobytes(), b"gone"]
    await add(database, grown, secret, *(chunk("gone", n, vector, f"heliotrope {n}") for n in range(1, 60)))
    await grown.tend()
    assert all(needle in _bytes(url) for needle in needles)
    await grown.remove("gone")
    await grown.tend()
    await database.close()  # which leaves no log behind
    assert [needle for needle in needles if needle in _bytes(url)] == []


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_no_bytes_of_a_dropped_index_are_left(url, database, grown):
    await grown.drop()
    await database.close()
    assert b"only3x7" not in _bytes(url)


def _bytes(url: str) -> bytes:
    from pathlib import Path

    file = Path(url.removeprefix("sqlite:///"))
    return b"".join(each.read_bytes() for each in file.parent.glob(f"{file.name}*"))


vectors = st.lists(st.integers(-3, 3), min_size=3, max_size=3).filter(any)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chunks=st.lists(st.tuples(st.sampled_from("abc"), vectors), max_size=30),
    asked=vectors,
    files=st.none() | st.lists(st.sampled_from("abcd"), unique=True),
    most=st.integers(1, 35),
)
async def test_few_chunks_are_all_compared(database, chunks, asked, files, most):
    index = Indexes(database).index(new_id(), 3)
    await index.create()
    await add(database, index, *(chunk(file_id, n, vector) for n, (file_id, vector) in enumerate(chunks)))
    found = await index.search(Query(most, vector=asked, files=files))
    await index.drop()
    wanted = sorted(
        (
            max(0.0, sum(a * b for a, b in zip(vector, asked, strict=True)) / (hypot(*vector) * hypot(*asked)))
            for file_id, vector in chunks
            if files is None or file_id in files
        ),
        reverse=True,
    )[:most]
    assert [each.score for each in found] == pytest.approx(wanted, abs=1e-5)
    by_position = {n: (file_id, vector) for n, (file_id, vector) in enumerate(chunks)}
    assert all(by_position[each.position][0] == each.file_id for each in found)
