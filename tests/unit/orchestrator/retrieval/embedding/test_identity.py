from dataclasses import replace

import orjson
import pytest
from tandem_orchestrator.retrieval.embedding.identity import Identity

ENGINE = Identity("org/model", 384, "passage: ", "query: ")
STATIC = Identity("potion", 256, fingerprint="ab" * 32)


@pytest.mark.parametrize("identity", [ENGINE, STATIC, replace(ENGINE, dimension=None)])
def test_it_is_the_same_after_it_was_stored(identity):
    assert Identity.read(orjson.loads(orjson.dumps(identity.document()))) == identity


@pytest.mark.parametrize(
    ("stored", "now"),
    [
        (ENGINE, ENGINE),
        (ENGINE, replace(ENGINE, dimension=None)),
        (ENGINE, replace(ENGINE, query_prompt="question: ")),
        (STATIC, replace(STATIC, model="elsewhere")),
    ],
)
def test_what_makes_the_same_vectors_differs_in_nothing(stored, now):
    assert stored.difference(now) == ""


@pytest.mark.parametrize(
    ("stored", "now", "said"),
    [
        (ENGINE, replace(ENGINE, model="org/other"), "'org/other'"),
        (ENGINE, replace(ENGINE, dimension=768), "384 dimensions"),
        (ENGINE, replace(ENGINE, document_prompt=""), "document prompt"),
        (STATIC, replace(STATIC, fingerprint="cd" * 32), "cdcdcdcdcdcd"),
        (STATIC, ENGINE, "'org/model'"),
        (ENGINE, STATIC, "abababababab"),
    ],
)
def test_what_makes_others_is_said(stored, now, said):
    assert said in stored.difference(now)
