"""Facts that a person tells about themselves and asks for later."""

import random
from dataclasses import dataclass
from typing import Final

from hack.demo_model import people, places, quantities, spellings
from hack.demo_model.split import Draw

COLOURS: Final = ("red", "blue", "green", "teal", "purple", "orange", "black", "white", "yellow", "pink", "turquoise")


def _thing(rng: random.Random) -> str:
    return spellings.letters(rng) if rng.random() < 0.7 else spellings.word(rng)


def _colour(rng: random.Random) -> str:
    return rng.choice(COLOURS) if rng.random() < 0.3 else spellings.letters(rng)


@dataclass(frozen=True)
class Fact:
    """A kind of fact: how it is told (`{}` is the value), acknowledged, asked for and repeated."""

    draw: Draw
    told: tuple[str, ...]
    noted: str
    asked: tuple[str, ...]
    repeated: str
    unknown: str


def _favourite(thing: str, draw: Draw) -> Fact:
    return Fact(
        draw,
        (f"my favourite {thing} is {{}}", f"My favourite {thing} is {{}}", f"my favorite {thing} is {{}}",
         f"I like the {thing} {{}} best", f"remember that my favourite {thing} is {{}}"),
        f"I will remember that your favourite {thing} is {{}}.",
        (f"What is my favourite {thing}?", f"what's my favourite {thing}", f"Which {thing} do I like most?",
         f"Do you remember my favourite {thing}?", f"What is my favorite {thing}?"),
        f"Your favourite {thing} is {{}}.",
        f"You have not told me your favourite {thing}.",
    )  # fmt: skip


def _named(owned: str) -> Fact:
    return Fact(
        people.person,
        (f"my {owned} is called {{}}", f"My {owned} is called {{}}", f"my {owned}'s name is {{}}"),
        f"I will remember that your {owned} is called {{}}.",
        (f"What is my {owned} called?", f"What is the name of my {owned}?", f"what's my {owned}'s name?"),
        f"Your {owned} is called {{}}.",
        f"You have not told me what your {owned} is called.",
    )


FACTS: Final = {
    "name": Fact(
        people.person,
        ("my name is {}", "My name is {}", "My name is {}", "I am {}", "I'm {}", "remember that my name is {}",
         "call me {}", "Call me {}"),
        "Nice to meet you, {}.",
        ("What is my name?", "what's my name?", "Who am I?", "Do you remember my name?", "Do you know my name?",
         "Say my name.", "What am I called?"),
        "Your name is {}.",
        "You have not told me your name.",
    ),
    "home": Fact(
        places.place,
        ("I live in {}", "I live in {}", "my home is in {}", "I am from {}"),
        "I will remember that you live in {}.",
        ("Where do I live?", "Which city do I live in?", "Where am I from?", "Do you remember where I live?"),
        "You live in {}.",
        "You have not told me where you live.",
    ),
    "colour": _favourite("colour", _colour),
    "animal": _favourite("animal", _thing),
    "food": _favourite("food", _thing),
    "city": _favourite("city", places.place),
    "number": _favourite("number", quantities.number),
    "book": _favourite("book", _thing),
    **{owned: _named(owned) for owned in ("dog", "cat", "sister", "brother", "team", "project")},
}  # fmt: skip
