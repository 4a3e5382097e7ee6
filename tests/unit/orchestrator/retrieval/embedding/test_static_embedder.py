"""A real static model in the process."""

import asyncio
import shutil
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tandem_contract.config import Embedding
from tandem_orchestrator.errors import EmbedderAway, TextRefused
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.retrieval.embedding import static_embedder, vector
from tandem_orchestrator.retrieval.embedding.static_embedder import AT_ONCE, StaticEmbedder
from tandem_orchestrator.retrieval.embedding.static_model import PART, StaticModel, Unusable
from tandem_orchestrator.retrieval.embedding.vector import similarity

from tests import static_model
from tests.retrieval_corpus import hit_rate, passages, questions

RECORD = Record("test")
ALIKE = [
    ("How do I change my password?", "I forgot my login and want to set a new password."),
    ("The cat sleeps on the sofa.", "A kitten is napping on the couch."),
    ("Shares fell sharply on Wall Street.", "The stock market lost value today."),
    ("She plays the violin in an orchestra.", "The musician performs with a string instrument."),
    ("The train to Berlin is late.", "Railway passengers have to wait for a delayed service."),
    ("Vaccines protect children against measles.", "Immunisation prevents infectious disease."),
    ("The recipe needs flour, eggs and butter.", "Ingredients for the cake: dough, sugar, milk."),
    ("The astronauts landed on the Moon.", "A spacecraft carried its crew to the lunar surface."),
    ("The court sentenced the thief to prison.", "A judge sent the criminal to jail."),
    ("Rain and storms are expected tomorrow.", "The weather forecast warns of heavy wind and showers."),
    ("The football team won the final.", "The club became champion after the last match."),
    ("The programmer fixed a bug in the software.", "A developer corrected an error in the code."),
    ("The doctor examined the patient.", "At the hospital a nurse looked after the sick man."),
    ("The king ruled the country for forty years.", "The monarch reigned over the kingdom for decades."),
    ("The ship sank in the Atlantic.", "A vessel went down in the ocean."),
    ("Prices for houses are rising in the city.", "Property in town becomes more expensive."),
    ("The farmer harvests wheat in August.", "Crops of grain are brought in from the fields in summer."),
    ("He broke his leg while skiing.", "A fracture of the bone after an accident on the slope."),
    ("Electric cars need batteries.", "Vehicles with a motor are charged with current."),
    ("The museum shows paintings by Rembrandt.", "An exhibition of Dutch art in the gallery."),
    ("Bees make honey from nectar.", "Insects visit flowers to collect food for the hive."),
    ("The volcano erupted and covered the village.", "Lava and ash buried the houses at the mountain."),
    ("The company dismissed two hundred workers.", "The employer cut jobs of its staff."),
    ("The teacher explains fractions to the class.", "Pupils learn mathematics at school."),
]


@pytest.fixture(scope="module")
def folder() -> Path:
    return static_model.folder()


@pytest.fixture
async def embedder(folder):
    made = StaticEmbedder(Embedding(path=str(folder)))
    yield made
    await made.close()


async def test_what_means_the_same_is_near(embedder):
    ones = await embedder.documents([one for one, _ in ALIKE], RECORD)
    others = await embedder.documents([other for _, other in ALIKE], RECORD)
    found = [sorted(range(len(ALIKE)), key=lambda place: -similarity(one, others[place])) for one in ones]
    assert hit_rate(found, [{place} for place in range(len(ALIKE))], 1) >= 0.8  # by chance 0.04


async def test_questions_find_their_passages(embedder):
    """With no search engine around it; chance would find 6 % of them among the first five."""
    vectors = await embedder.documents([f"{passage.heading}\n{passage.text}" for passage in passages()], RECORD)
    asked = [question for question in questions() if (question.kind, question.language) == ("meaning", "en")]
    found = []
    for question in asked:
        vector = await embedder.query(question.text, RECORD)
        found.append(
            [passages()[n] for n in sorted(range(len(vectors)), key=lambda n: -similarity(vector, vectors[n]))]
        )
    assert hit_rate(found, [{question.passage} for question in asked], 5) >= 0.7


async def test_its_identity_is_known_once_it_was_read(embedder, folder):
    assert embedder.identity.fingerprint == ""
    await embedder.prepare()
    assert (embedder.identity.dimension, len(embedder.identity.fingerprint)) == (384, 64)
    assert embedder.identity.model == folder.name
    assert embedder.problem is None


async def test_vectors_come_in_order_and_have_the_length_one(embedder):
    texts = [f"number {number}" for number in range(2 * AT_ONCE + 1)]
    vectors = await embedder.documents(texts, RECORD)
    assert vectors == [await embedder.query(text, RECORD) for text in texts]
    assert {round(similarity(vector, vector), 5) for vector in vectors} == {1.0}


async def test_prompts_stand_in_front(folder):
    prompted = StaticEmbedder(Embedding(path=str(folder), document_prompt="animal ", query_prompt="question "))
    plain = StaticEmbedder(Embedding(path=str(folder)))
    assert await prompted.documents(["cat"], RECORD) == await plain.documents(["animal cat"], RECORD)
    assert await prompted.query("cat", RECORD) == await plain.query("question cat", RECORD)
    await prompted.close()
    await plain.close()


@pytest.mark.parametrize("text", ["", " ", "☃☃☃"])
async def test_a_text_without_a_word_is_named(embedder, text):
    with pytest.raises(TextRefused) as caught:
        await embedder.documents([*["cat"] * AT_ONCE, "dog", text], RECORD)
    assert caught.value.position == AT_ONCE + 1


async def test_no_text_is_cut(folder):
    model = StaticModel(folder, None)
    words = "one two three " * PART
    assert model.vector(words + "elephant") != model.vector(words + "volcano")
    together, parts = model.vector("cat " * PART), model.vector("cat")
    assert numbers(together) == pytest.approx(numbers(parts), abs=1e-4)
    unbroken = model.vector("山" * (2 * PART + 1))
    assert numbers(unbroken) == pytest.approx(numbers(model.vector("山")), abs=1e-4)


async def test_shorter_vectors_are_the_first_numbers(folder):
    model = StaticModel(folder, 64)
    first = vector.of_numbers(numbers(StaticModel(folder, None).vector("cat"))[:64])
    assert model.dimension == 64
    assert numbers(model.vector("cat")) == pytest.approx(numbers(first), abs=1e-5)


def numbers(made: bytes | None) -> tuple[float, ...]:
    assert made is not None
    return vector.numbers(made)


def changed(folder, target, **tensors):
    shutil.copytree(folder, target)
    weights = load_file(target / "model.safetensors") | tensors
    save_file({name: tensor for name, tensor in weights.items() if tensor is not None}, target / "model.safetensors")
    return target


def test_a_smaller_vocabulary_and_other_names_are_understood(folder, tmp_path):
    vectors = load_file(folder / "model.safetensors")["embeddings"]
    same = StaticModel(folder, None).vector("the cat sleeps")
    renamed = changed(folder, tmp_path / "renamed", **{"embeddings": None, "embedding.weight": vectors})
    assert StaticModel(renamed, None).vector("the cat sleeps") == same
    order = np.arange(len(vectors))[::-1].copy()
    scale = np.linspace(1, 2, len(vectors), dtype=np.float32)
    mapped = changed(
        folder, tmp_path / "mapped", embeddings=(vectors / scale[:, None])[::-1].copy(), mapping=order, weights=scale
    )
    assert numbers(StaticModel(mapped, None).vector("the cat sleeps")) == pytest.approx(numbers(same), abs=1e-5)
    half = changed(folder, tmp_path / "half", embeddings=vectors.astype(np.float16))
    assert numbers(StaticModel(half, None).vector("the cat sleeps")) == pytest.approx(numbers(same), abs=1e-3)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.safetensors", b"no weights", "no static embedding model"),
        ("tokenizer.json", b"{}", "no static embedding model"),
    ],
)
async def test_files_of_something_else_are_a_problem(folder, tmp_path, name, content, said):
    target = changed(folder, tmp_path / "model")
    (target / name).write_bytes(content)
    embedder = StaticEmbedder(Embedding(path=str(target)))
    await embedder.prepare()
    assert said in str(embedder.problem)
    with pytest.raises(EmbedderAway, match=said):
        await embedder.query("cat", RECORD)
    shutil.copyfile(folder / name, target / name)
    await embedder.query("cat", RECORD)
    assert embedder.problem is None
    await embedder.close()


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"embeddings": np.zeros((5, 4), np.float32)}, "more tokens than"),
        ({"embeddings": None, "other": np.zeros(1)}, "has no embeddings"),
        ({"embeddings": np.full((30522, 2), np.nan, np.float32)}, "none, or infinite"),
    ],
)
def test_weights_that_do_not_fit_are_a_problem(folder, tmp_path, tensors, said):
    with pytest.raises(Unusable, match=said):
        StaticModel(changed(folder, tmp_path / "model", **tensors), None)


def test_more_dimensions_than_there_are_is_a_problem(folder):
    with pytest.raises(Unusable, match="vectors of 384 numbers"):
        StaticModel(folder, 385)


async def test_a_folder_that_is_not_there_is_said_at_once(tmp_path):
    embedder = StaticEmbedder(Embedding(path=str(tmp_path)))
    assert embedder.problem == f"retrieval.embedding.path: {tmp_path} has no model.safetensors and no tokenizer.json"
    with pytest.raises(EmbedderAway):
        await embedder.documents(["cat"], RECORD)
    await embedder.close()


async def test_a_missing_extra_is_said_with_what_to_install(folder, monkeypatch):
    monkeypatch.setattr(static_embedder, "NEEDED", ("numpy", "no_such_package"))
    embedder = StaticEmbedder(Embedding(path=str(folder)))
    assert "tandem-orchestrator[embeddings]: no_such_package is not installed" in str(embedder.problem)
    await embedder.close()


def test_the_extra_is_not_imported_before_it_is_needed():
    code = (
        "import sys, tandem_orchestrator.app, tandem_orchestrator.check\n"
        "print([name for name in ('numpy', 'tokenizers', 'safetensors') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


async def test_questions_do_not_wait_for_documents(embedder):
    await embedder.prepare()
    documents = asyncio.create_task(embedder.documents(["word " * 1000] * 200, RECORD))
    await asyncio.sleep(0)
    await embedder.query("cat", RECORD)
    assert not documents.done()
    assert len(await documents) == 200


def test_no_two_of_the_pairs_are_the_same():
    assert all(one != other for one, other in combinations(ALIKE, 2))
