"""How often a search finds the passage that answers a question: by vectors, by words, and by both.

`pytest -rP` shows the tables; docs/retrieval.md has one.
"""

from collections.abc import Sequence
from typing import Any

import openai
from tandem_orchestrator.retrieval.parsing.tokens import tokens_in

from tests import static_model
from tests.retrieval_corpus import Question, hit_rate, questions
from tests.sockets.retrieval.stores import corpus_files
from tests.sockets.retrieval.stores.documents import Documents

FIRST = 5
WEIGHTS = {"vectors": (1, 0), "words": (0, 1), "both": (1, 1)}
MOST_TOKENS = 128  # a passage or two; a larger piece would hold what is asked for by its size
CUT = {
    "chunking": {"maxTokens": MOST_TOKENS, "overlapTokens": 32},
    "ingestion": {"concurrency": 1},  # in the same order each time, or other words are common
}
GROUPS = ("all", "meaning", "word", "en", "de", "fr", "ja")  # of questions
FLOORS = {  # just below what is found; chance finds 7 % of all
    ("vectors", "all"): 0.82,
    ("words", "all"): 0.62,
    ("words", "word"): 0.99,
    ("both", "all"): 0.86,
    ("both", "meaning"): 0.82,
    ("both", "word"): 0.99,
}
MARGIN = 0.01  # by which both together may find less than the better of the two

Table = dict[tuple[str, str], float]


async def test_hit_rates(start):
    orchestrator = await start({"embedding": {"path": str(static_model.folder())}, **CUT})
    async with openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key="key-a", max_retries=0) as client:
        documents = Documents(client)
        files = [await documents.upload(content, name) for name, content in corpus_files.made().items()]
        store = await client.vector_stores.create(file_ids=[file.id for file in files])
        await documents.done(store.id)
        store = await client.vector_stores.retrieve(store.id)
        assert store.file_counts.completed == len(files)
        table: Table = {}
        for way in WEIGHTS:
            table |= rates(way, [await found(client, store.id, way, question) for question in questions()])
    print(shown(table))  # noqa: T201 # what pytest keeps beside the outcome
    for place, floor in FLOORS.items():
        assert table[place] >= floor, (place, table)
    assert table["both", "all"] >= max(table["vectors", "all"], table["words", "all"]) - MARGIN


async def found(client: openai.AsyncOpenAI, store_id: str, way: str, question: Question) -> list[bool]:
    """Of the pieces that a search finds, whether each has the passage."""
    by_meaning, by_words = WEIGHTS[way]
    weights: Any = {"hybrid_search": {"embedding_weight": by_meaning, "text_weight": by_words}}
    page = await client.vector_stores.search(
        store_id,
        query=question.text,
        max_num_results=FIRST,
        ranking_options=weights,
    )
    pieces = [(each.filename, each.content[0].to_dict()) for each in page.data]
    assert all(tokens_in(str(piece["text"])) <= MOST_TOKENS for _, piece in pieces)
    return [corpus_files.answers(question.passage, *piece) for piece in pieces]


def rates(way: str, answers: Sequence[Sequence[bool]]) -> Table:
    table = {}
    for group in GROUPS:
        of_group = [
            answer
            for answer, question in zip(answers, questions(), strict=True)
            if group in {"all", question.kind, question.language}
        ]
        table[way, group] = hit_rate(of_group, [[True]] * len(of_group), FIRST)
    return table


def shown(table: Table) -> str:
    rows = [["found by", *GROUPS], ["---"] * (1 + len(GROUPS))]
    rows += [[way, *(f"{table[way, group]:.2f}" for group in GROUPS)] for way in WEIGHTS]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
