"""Reads what models of the Llama Guard family say: `safe`, or `unsafe` and in the next line the hazards, `S1,S10`."""

import re
from typing import Final, NamedTuple

from tandem_orchestrator.errors import Malformed

CATEGORIES_OF: Final = {
    "S1": ("violence", "illicit/violent"),
    "S2": ("illicit",),
    "S3": ("sexual", "illicit"),
    "S4": ("sexual/minors",),
    "S5": ("defamation",),
    "S6": ("specialized-advice",),
    "S7": ("privacy",),
    "S8": ("intellectual-property",),
    "S9": ("illicit/violent",),
    "S10": ("hate",),
    "S11": ("self-harm",),
    "S12": ("sexual",),
    "S13": ("elections",),
    "S14": ("illicit",),
}
"""The hazards of MLCommons' taxonomy, from Llama Guard 3 on, in OpenAI's words where OpenAI has some."""
HAZARD: Final = re.compile(r"\bS\d{1,3}\b")
MOST_TOKENS: Final = 64
"""Enough for all hazards at once."""


class Verdict(NamedTuple):
    """What it says of a message."""

    flagged: bool
    categories: tuple[str, ...] = ()
    """OpenAI's and others, and hazards that are not known here by their own names."""


def read(said: object) -> Verdict:
    """Return the verdict. Raises `Malformed` for anything else: a text must not pass since nobody has judged it."""
    word, _, rest = said.strip().partition("\n") if isinstance(said, str) else ("", "", "")
    if word.strip() == "safe" and not rest.strip():
        return Verdict(flagged=False)
    if word.strip() != "unsafe":
        raise Malformed("the guard model's answer is neither `safe` nor `unsafe` with its hazards")
    hazards = HAZARD.findall(rest)
    return Verdict(
        flagged=True, categories=tuple(name for hazard in hazards for name in CATEGORIES_OF.get(hazard, (hazard,)))
    )
