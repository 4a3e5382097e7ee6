"""Chunks in, passages out, on both databases."""

import asyncio
from math import sqrt

import pytest
from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.retrieval.index.chunks import Kept, Query
from tandem_orchestrator.retrieval.index.indexes import Indexes

from tests.sockets.retrieval.index.contents import add, chunk, new_id, places, remove


async def test_nothing_is_found_in_an_empty_index(index):
    assert await index.search(Query(10, vector=[1, 0])) == []
    assert await index.search(Query(10, text="anything")) == []
    assert await index.search(Query(10, vector=[1, 0], text="anything")) == []
    assert await index.count() == 0
    await index.tend()


async def test_score_is_cosine_similarity_and_never_negative(database, index):
    await add(
        database,
        index,
        chunk("a", 0, [3, 0]),
        chunk("a", 1, [1, 1]),
        chunk("a", 2, [0, 2]),
        chunk("a", 3, [-1, 0]),
        chunk("a", 4, [0, 0]),
    )
    found = await index.search(Query(10, vector=[2, 0]))
    assert places(found)[:2] == [("a", 0), ("a", 1)]
    assert {each.position: each.score for each in found} == pytest.approx(
        {0: 1.0, 1: 1 / sqrt(2), 2: 0.0, 3: 0.0, 4: 0.0}, abs=1e-6
    )


async def test_chunk_comes_back_as_it_was_kept(database, index):
    await add(database, index, chunk("file-1", 7, [1, 0], "Text \0 with 'quotes'", "Top > Below"))
    (found,) = await index.search(Query(1, vector=[1, 0]))
    assert found[:5] == ("file-1", 7, "Text   with 'quotes'", 8, "Top > Below")
    assert await index.texts("file-1", -1, 10) == [Kept("file-1", 7, "Text   with 'quotes'", 8, "Top > Below", 2)]


async def test_added_twice_is_there_once(database, index):
    for _ in range(2):
        await add(database, index, chunk("a", 0, [1, 0], "unique"), chunk("a", 1, [0, 1], "other"))
    await add(database, index, chunk("a", 1, [0, 1], "other"), chunk("a", 2, [0, 1], "third"))
    assert await index.count() == 3
    assert places(await index.search(Query(10, text="unique"))) == [("a", 0)]


async def test_only_chunks_of_some_files(database, index):
    await add(database, index, *(chunk(f"file-{n}", 0, [1, n / 10], f"word{n} shared") for n in range(10)))
    for query in (Query(5, vector=[1, 0]), Query(5, text="shared"), Query(5, vector=[1, 0], text="shared")):
        found = await index.search(query._replace(files=["file-7", "file-3", "file-99"]))
        assert {each.file_id for each in found} == {"file-3", "file-7"}
        assert await index.search(query._replace(files=[])) == []
        assert await index.search(query._replace(files=["file-'\"x"])) == []
    assert places(await index.search(Query(5, vector=[1, 0], files=["file-7", "file-3"]))) == [
        ("file-3", 0),
        ("file-7", 0),
    ]


async def test_hybrid_is_reciprocal_rank_fusion(database, index):
    await add(
        database,
        index,
        chunk("a", 0, [1, 0], "nothing here"),
        chunk("a", 1, [1, 0.1], "zebra"),
        chunk("a", 2, [0, 1], "zebra zebra"),
    )
    query = Query(3, vector=[1, 0], text="zebra", vector_weight=2, text_weight=1)
    scores = {each.position: each.score for each in await index.search(query)}
    assert scores[0] == pytest.approx((2 / 61) / (3 / 61))
    assert scores[1] + scores[2] == pytest.approx((2 / 62 + 1 / 61 + 2 / 63 + 1 / 62) / (3 / 61))
    assert places(await index.search(query._replace(vector_weight=0)))[0][1] in {1, 2}
    only_vectors = await index.search(query._replace(text_weight=0))
    assert [each.position for each in only_vectors] == [0, 1, 2]
    assert only_vectors[1].score == pytest.approx(1 / sqrt(1.01), abs=1e-6)


async def test_words_count_as_far_as_they_are_there(database, index):
    await add(
        database,
        index,
        chunk("near", 0, [1, 0], "nothing of it"),
        chunk("near", 1, [1, 0.1], "one zebra"),
        chunk("far", 0, [0, 1], "zebra quagga okapi gnu"),
    )
    query = Query(3, vector=[1, 0], text="zebra quagga okapi gnu")
    scores = {(each.file_id, each.position): each.score for each in await index.search(query)}
    assert scores["far", 0] == pytest.approx((1 / 63 + 1 / 61) / (2 / 61))
    assert scores["near", 1] == pytest.approx((1 / 62 + (1 / 4) ** 2 / 62) / (2 / 61))
    by_words = {each.file_id: each.score for each in await index.search(query._replace(vector=None))}
    assert by_words == pytest.approx({"far": 1.0, "near": (1 / 4) ** 2 * 61 / 62})


async def test_words_are_found_in_any_case_accent_and_script(database, index):
    await add(
        database,
        index,
        chunk("a", 0, [1, 0], "Le café est fermé"),
        chunk("a", 1, [1, 0], "東京都の天気予報"),
        chunk("a", 2, [1, 0], "Straße und Größe"),
        chunk("a", 3, [1, 0], "plain", "Chapter Seven"),
    )
    for text, position in (("CAFE!", 0), ("天気", 1), ("STRASSE", 2), ("grosse", 2), ("seven", 3)):
        assert places(await index.search(Query(5, text=text))) == [("a", position)], text


async def test_rarer_words_count_more(database, index):
    common = [chunk("a", n, [1, 0], f"the common word number{n}") for n in range(30)]
    await add(database, index, *common, chunk("b", 0, [1, 0], "the rare heliotrope"))
    assert places(await index.search(Query(1, text="the common heliotrope")))[0] in {("b", 0), ("a", 0)}
    assert places(await index.search(Query(1, text="the heliotrope"))) == [("b", 0)]


@pytest.mark.parametrize(
    "text",
    [
        '"',
        "'",
        "a OR b",
        "NEAR(a b)",
        "words:a",
        "a* ^b -c",
        "'a' & !'b'",
        "\\",
        "a:*",
        "); DROP TABLE x; --",
        "\0",
        ":name %s $1 ?",
        "_",
        "🙂",
        "a" * 100_000,
        "\ud800",
        "word " * 5_000,
    ],
)
async def test_query_is_only_words(database, index, text):
    await add(database, index, chunk("a", 0, [1, 0], "innocent"), chunk("a", 1, [1, 0], text.replace("\ud800", "")))
    assert ("a", 0) not in places(await index.search(Query(5, text=text)))
    assert len(await index.search(Query(5, vector=[1, 0], text=text))) == 2


async def test_removed_file_is_found_no_more(database, index):
    await add(database, index, *(chunk(f, n, [1, n], f"word{f}") for f in "ab" for n in range(3)))
    await remove(database, index, "a")
    assert {each.file_id for each in await index.search(Query(10, vector=[1, 0]))} == {"b"}
    assert await index.search(Query(10, text="worda")) == []
    assert len(await index.search(Query(10, text="wordb"))) == 3
    assert await index.texts("a", -1, 10) == []
    assert await index.count() == 3
    await add(database, index, chunk("a", 0, [1, 0], "worda"))
    assert places(await index.search(Query(10, text="worda"))) == [("a", 0)]


async def test_texts_of_a_file_come_in_pages(database, index):
    await add(database, index, *(chunk("a", n, [1, 0]) for n in reversed(range(10))), chunk("b", 3, [1, 0]))
    first = await index.texts("a", -1, 4)
    assert [each.position for each in first] == [0, 1, 2, 3]
    assert [each.position for each in await index.texts("a", 3, 100)] == [4, 5, 6, 7, 8, 9]
    assert await index.texts("a", 9, 4) == []


async def test_dropped_index_is_gone_and_others_are_not(database, index):
    second = Indexes(database).index(new_id(), 2)
    await second.create()
    await second.create()
    for each in (index, second):
        await add(database, each, *(chunk("a", n, [1, 0]) for n in range(5)))
    await index.drop()
    await index.drop()
    assert await second.count() == 5
    await index.create()
    assert await index.count() == 0


@pytest.mark.parametrize("vector", [[1.0], [1.0, 2.0, 3.0], [], [float("nan"), 0.0], [float("inf"), 0.0], [1e300, 0.0]])
async def test_vector_that_does_not_fit_is_refused(index, vector):
    with pytest.raises(BadRequest, match=r"dimensions|finite"):
        index.adding([chunk("a", 0, vector)])
    with pytest.raises(BadRequest, match=r"dimensions|finite"):
        await index.search(Query(1, vector=vector))


@pytest.mark.parametrize("index_id", ["", "x" * 32, "A" * 32, "0" * 31, "0" * 33, "0" * 32 + "\n", "0'; DROP TABLE a"])
async def test_id_is_checked(index_id, database):
    with pytest.raises(ValueError, match="hexadecimal"):
        Indexes(database).index(index_id, 2)


@pytest.mark.parametrize("most", [0, -1, 201])
async def test_number_of_results_is_bounded(index, most):
    with pytest.raises(BadRequest, match="200"):
        await index.search(Query(most, vector=[1, 0]))


async def test_two_processes_add_at_once(database, other, index):
    theirs = Indexes(other).index(index.id, 2)
    await asyncio.gather(
        *(
            add(base, which, *(chunk(f"f{n % 4}", p, [1, n]) for p in range(20)))
            for n in range(8)
            for base, which in ((database, index), (other, theirs))
        ),
        *(each.create() for each in (index, theirs)),
    )
    assert await index.count() == 80
    assert [each.position for each in await theirs.texts("f3", -1, 100)] == [*range(20)]


async def test_search_while_files_come_and_go(database, other, index):
    theirs = Indexes(other).index(index.id, 2)
    await add(database, index, chunk("stays", 0, [1, 0], "stays"))

    async def come_and_go() -> None:
        for n in range(15):
            await add(other, theirs, *(chunk(f"f{n}", p, [1, 0.5], "goes") for p in range(10)))
            await remove(other, theirs, f"f{n}")

    going = asyncio.create_task(come_and_go())
    while not going.done():
        found = await index.search(Query(5, vector=[1, 0], text="stays goes"))
        assert found[0].file_id == "stays"
    await going
    assert places(await index.search(Query(5, vector=[1, 0], text="stays goes"))) == [("stays", 0)]
