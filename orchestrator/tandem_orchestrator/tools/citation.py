"""What an answer cites of the passages that its model was given. Does no I/O.

A model cites a passage by its number, as in [1]; such marks stay in the text. Where it cites none, a sentence that has
a run of words in common with a passage, or a figure or name that only this passage has, is taken to come from it. The
work grows with the length of the answer and of the passages, and not with their product.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from tandem_orchestrator.tools.passage import Passage

MOST: Final = 100  # annotations of one text
MOST_OF_A_SENTENCE: Final = 2
RUN: Final = 5  # words in common
LEAST_RUN: Final = 20  # characters of such words, or they may be "as well as in the"
MOST_WORDS: Final = 50_000  # of all passages that are compared

_MARK: Final = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`"  # code, in which brackets are something else
    r"|\[(\d{1,4}(?:\s?,\s?\d{1,4}){0,20})\](?!\()"
    r"|【(\d{1,4})(?:†[^】\n]{0,80})?】",  # as models of OpenAI write it
    re.DOTALL,
)
_WORD: Final = re.compile(r"\w+(?:[-.,:/]\w+)*")
_SENTENCE: Final = re.compile(r"[^.!?\n]+(?:[.!?](?!\s|\Z)[^.!?\n]*)*[.!?]*")
_TELLING: Final = re.compile(r"(?=.*\d).{5,}")
"""A word that hardly two texts have by chance."""

Piece = str | tuple[str, ...]
"""A word, or a run of words."""


def citations(text: str, passages: Sequence[Passage], new: int = 0) -> list[dict[str, Any]]:
    """Return the annotations of a text whose model was given numbered passages, in order.

    Any of them may be cited by its number; only from `new` on, counted from 0, are they looked for in the text.
    """
    if not text or not passages:
        return []
    found = [
        passages[number - 1].citation(start, end, start)
        for number, start, end in _marks(text)
        if 0 < number <= len(passages)
    ]
    return found[:MOST] or _shared(text, passages[new:])[:MOST]


def _marks(text: str) -> Iterator[tuple[int, int, int]]:
    """Yield the numbers that are cited, with where their mark begins and ends."""
    if "[" not in text and "【" not in text:
        return
    for mark in _MARK.finditer(text):
        for number in (mark[1] or mark[2] or "").split(","):
            if number:
                yield int(number), mark.start(), mark.end()


def _shared(text: str, passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """Return annotations at the ends of sentences that share words with passages."""
    if not passages:
        return []
    sentences = [(match.start(), match.end(), _pieces(match[0])) for match in _SENTENCE.finditer(text)]
    said = {piece for _, _, pieces in sentences for piece in pieces}
    holders = _holders(said, passages) if said else {}
    found = []
    for start, end, pieces in sentences:
        cited = dict.fromkeys(holders[piece] for piece in pieces if piece in holders)
        found += [passages[number].citation(start, end, end) for number in list(cited)[:MOST_OF_A_SENTENCE]]
    return found


def _pieces(sentence: str) -> list[Piece]:
    """Return what may tell that a sentence is of a text: its runs of words, and words that are telling."""
    words = _words(sentence)
    runs: list[Piece] = [run for run in _runs(words) if sum(map(len, run)) >= LEAST_RUN]
    return runs + [word for word in words if _TELLING.fullmatch(word)]


def _holders(said: set[Piece], passages: Sequence[Passage]) -> dict[Piece, int]:
    """Return which passage has each of the pieces that were said: of a run the first, of a word the only one."""
    holders: dict[Piece, int] = {}
    several: set[Piece] = set()
    left = MOST_WORDS
    for number, passage in enumerate(passages):
        words = _words(passage.text)[:left]
        left -= len(words)
        for run in said.intersection(_runs(words)):
            holders.setdefault(run, number)
        for word in said.intersection(words):
            if holders.setdefault(word, number) != number:
                several.add(word)
    return {piece: number for piece, number in holders.items() if piece not in several}


def _runs(words: list[str]) -> Iterable[tuple[str, ...]]:
    return zip(*(words[n:] for n in range(RUN)), strict=False)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
