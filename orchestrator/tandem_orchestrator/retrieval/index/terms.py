"""The words of a text, as they are kept for search and asked for, in any language. Decides; does no I/O.

Nothing but letters and digits remains (and vowel signs), so that nobody can speak a database's query language by them.
"""

import math
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

LONGEST: Final = 64
"""Characters of a word that count; the rest of it is left out."""
LAST_POSITION: Final = 16_383  # of PostgreSQL's tsvector, where a word also has no more than
POSITIONS: Final = 255
RARE: Final = 0.001
"""The share of chunks that a word is taken to be in of which nothing is known."""
LOOKED_FOR: Final = 64
"""Words that one search looks for at most."""

SCRIPT: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, kana and Chinese characters: written without spaces between words."""
RUN: Final = re.compile(f"[{SCRIPT}]+")
RUN_OR_WORD: Final = re.compile(f"[{SCRIPT}]+|[^\\W_{SCRIPT}]+")


def terms(text: str) -> list[str]:
    """Return the words in their order, folded; those without spaces between them as pairs of characters."""
    found: list[str] = []
    for match in RUN_OR_WORD.finditer(_folded(text)):
        word = match[0]
        if RUN.match(word):
            found += _pairs(word)
        else:
            found.append(word[:LONGEST])
    return found


def tsvector(words: Sequence[str]) -> str:
    """Return words with their positions, as PostgreSQL reads a `tsvector`."""
    places: dict[str, list[str]] = {}
    for place, term in enumerate(words, start=1):
        at = places.setdefault(term, [])
        if place <= LAST_POSITION and len(at) < POSITIONS:
            at.append(str(place))
    return " ".join(f"'{term}':{','.join(at)}" if at else f"'{term}'" for term, at in places.items())


def telling(words: Collection[str], shares: Mapping[str, float], most: float) -> list[str]:
    """Return the words to look for: the rarest, which are in no more than a share `most` of the chunks altogether.

    They are `LOOKED_FOR` at most. `shares` holds what share of the chunks has a word, where that is known. The rarest
    one is always there.
    """
    kept: list[str] = []
    total = 0.0
    for word in sorted(set(words), key=lambda word: (shares.get(word, RARE), word))[:LOOKED_FOR]:
        total += shares.get(word, RARE)
        if kept and total > most:
            break
        kept.append(word)
    return kept


def tells(word: str, shares: Mapping[str, float]) -> float:
    """Return how much it tells of a chunk that it has a word: its inverse document frequency, above 0."""
    return 0.01 - math.log(shares.get(word, RARE))


def _folded(text: str) -> str:
    """Return a text without case and accents."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", "".join(each for each in decomposed if not unicodedata.combining(each)))


def _pairs(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    for place in range(len(run) - 1):
        yield run[place : place + 2]
