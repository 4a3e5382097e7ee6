"""How a request is put into words: clauses, joined and punctuated the way different people type."""

import random
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

OPENINGS: Final = (
    "Hi! ",
    "Hello, ",
    "Hey, ",
    "Hi, ",
    "Hello! ",
    "Please ",
    "please ",
    "Can you tell me: ",
    "Ok, ",
    "Now ",
    "And ",
)
JOINTS: Final = (" and ", " and ", " and also ", ", and ", "", "")  # empty: end the sentence, start another

QUESTION: Final = ("?", "?", "?", "", " please?")
ORDER: Final = (".", ".", "", "", " please.", " for me.")
STATEMENT: Final = (".", ".", "!", "")


@dataclass(frozen=True)
class Clause:
    """A template with one `{}`, the value that goes there, and the endings that fit, the plainest first."""

    template: str
    value: str
    endings: tuple[str, ...]

    def text(self, *, capital: bool) -> str:
        """Return the clause without its ending; a value at its start keeps its spelling."""
        first = self.template[:1].upper() if capital else self.template[:1]
        return (first + self.template[1:]).format(self.value)


def say(rng: random.Random, *clauses: Clause) -> str:
    """Return one utterance that holds all `clauses` in order."""
    opening = rng.choice(OPENINGS) if rng.random() < 0.1 else ""
    text = opening + clauses[0].text(capital=not opening and rng.random() < 0.85)
    for before, clause in pairwise(clauses):
        joint = rng.choice(JOINTS)
        text += (joint or f"{before.endings[0]} ") + clause.text(capital=not joint)
    return text + rng.choice(clauses[-1].endings)
