"""Documents to search: sentences about invented things, how they are asked for, and what a search returns of them."""

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hack.demo_model import people, places, quantities, small_talk, spellings
from hack.demo_model.split import Draw, trained

sys.path.append(str(Path(__file__).parents[2] / "orchestrator"))  # training has the project's sources alone

from tandem_orchestrator.tools.passage import Passage, written

UNKNOWN: Final = "The documents do not say."


def _code(rng: random.Random) -> str:
    return f"{spellings.letters(rng).upper()[:4]}-{quantities.digits(rng, rng.choice((2, 3, 4)))}"


def _thing(rng: random.Random) -> str:
    return f"the {spellings.letters(rng)}" if rng.random() < 0.5 else spellings.word(rng)


@dataclass(frozen=True)
class Relation:
    """How a sentence tells what one thing has to do with another, and how that is asked."""

    told: str
    asked: tuple[str, ...]
    key: Draw
    value: Draw


RELATIONS: Final = (
    Relation("The capital of {} is {}.", ("What is the capital of {}?", "Which city is the capital of {}?"),
             places.place, places.place),
    Relation("The keeper of {} is {}.", ("Who is the keeper of {}?", "What is the keeper of {} called?"),
             _thing, people.person),
    Relation("The price of {} is {}.", ("What is the price of {}?", "What does {} cost?"), _thing, quantities.number),
    Relation("The code of {} is {}.", ("What is the code of {}?", "Which code has {}?"), _thing, _code),
    Relation("The colour of {} is {}.", ("What is the colour of {}?", "Which colour has {}?"),
             _thing, spellings.letters),
    Relation("The home of {} is {}.", ("What is the home of {}?", "Where is the home of {}?"),
             people.person, places.place),
)  # fmt: skip


@dataclass(frozen=True)
class Statement:
    """A sentence of a document, and a question that it answers."""

    sentence: str
    question: str


def statement(rng: random.Random, chosen: Callable[[random.Random, Draw], str] = trained) -> Statement:
    """Return a random sentence, about things that `chosen` lets through."""
    if rng.random() < 0.4:
        name = spellings.letters(rng)
        relation = Relation(f"The {name} of {{}} is {{}}.", (f"What is the {name} of {{}}?",), _thing, places.place)
    else:
        relation = rng.choice(RELATIONS)
    key, value = (chosen(rng, draw) for draw in (relation.key, relation.value))
    question = rng.choice(relation.asked).format(key)
    if rng.random() < 0.2:
        question = question[0].lower() + question[1:].rstrip("?")
    return Statement(relation.told.format(key, value), question)


def nothing() -> str:
    """Return what a search returns that found nothing."""
    return written([], 0)


def found(rng: random.Random, sentence: str) -> str:
    """Return what a search returns that found a sentence, among others."""
    number = rng.choice((1, 1, 2, 2, 3))
    sentences = [[_beside(rng) for _ in range(rng.choice((0, 0, 1, 2)))] for _ in range(number)]
    holder = rng.choice(sentences)
    holder.insert(rng.randint(0, len(holder)), sentence)
    file = f"{spellings.letters(rng)}.{rng.choice(('pdf', 'pdf', 'md', 'txt'))}"
    return written([_passage(rng, file, texts) for texts in sentences], rng.choice((0, 0, 0, 2)))


def _beside(rng: random.Random) -> str:
    """Return a sentence that was not asked for: of a document's kind, or of words."""
    if rng.random() < 0.6:
        return statement(rng).sentence
    words = [rng.choice(small_talk.WORDS) if rng.random() < 0.5 else spellings.letters(rng) for _ in range(6)]
    return " ".join(words[: rng.randint(3, 6)]).capitalize() + "."


def _passage(rng: random.Random, file: str, texts: list[str]) -> Passage:
    title = [spellings.letters(rng).capitalize()] if rng.random() < 0.5 or not texts else []
    page = rng.randint(1, 40) if rng.random() < 0.6 else None
    heading = spellings.word(rng) if rng.random() < 0.3 else ""
    joint = rng.choice((" ", "\n"))
    return Passage(joint.join([*title, *texts]), file, file_id="file-1", page=page, heading=heading)
