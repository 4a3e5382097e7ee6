"""Names of people."""

import random
from typing import Final

from hack.demo_model.spellings import word

KNOWN: Final = (
    "Ada", "Alan", "Alice", "Amir", "Anna", "Bob", "Carlos", "Chen", "Clara", "David", "Elena", "Emma", "Grace",
    "Hana", "Ibrahim", "Ivan", "Jane", "John", "Jonas", "Kofi", "Linus", "Maria", "Mia", "Noah", "Olga", "Priya",
    "Sam", "Sofia", "Tom", "Yuki",
)  # fmt: skip


def person(rng: random.Random) -> str:
    """Return a first name, sometimes with a family name; mostly with a spelling that nobody has seen."""
    kind = rng.random()
    if kind < 0.15:
        return rng.choice(KNOWN)
    if kind < 0.8:
        return word(rng)
    return f"{rng.choice((rng.choice(KNOWN), word(rng)))} {word(rng)}"
