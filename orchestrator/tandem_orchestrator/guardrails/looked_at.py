"""What rules look at in the place of a text: the same as a reader sees, and where each part of it stands in the text.

Characters that nobody sees are left out, and fullwidth, bold, circled and other forms of a character are the character
itself (Unicode's NFKC). Letters of other scripts that look alike, and texts in base64 or percent-encoding, stay what
they are.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Final

from tandem_contract.text_pattern import encoded

from tandem_orchestrator.guardrails.found import Span

INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]+"
)
"""What Unicode says to leave out where it is not understood (Default_Ignorable_Code_Point)."""
_ACCENTS: Final = re.compile("[\u0300-\u036f]+")
_RUN: Final = re.compile("[^\0-\x7f]+")
_MOST_KNOWN: Final = 0x10000

Fold = Callable[[str], str]
"""Makes of a piece what is looked at. A piece begins with an ASCII character, which none before it changes."""


class _Forms(dict[int, str | int]):
    """The compatible form of each character, as `str.translate` asks for it; remembers those of everyday."""

    def __missing__(self, code: int) -> str | int:
        character = chr(code)
        form = "" if INVISIBLE.match(character) else unicodedata.normalize("NFKC", character)
        known = code if form == character else form
        if code < _MOST_KNOWN:
            self[code] = known
        return known


_FORMS: Final = _Forms()


def visible(piece: str) -> str:
    """Return it without what nobody sees, in compatible forms."""
    return unicodedata.normalize("NFC", piece.translate(_FORMS))


def plain(piece: str) -> str:
    """Return it without accents, too."""
    return _ACCENTS.sub("", unicodedata.normalize("NFD", piece.translate(_FORMS)))


class LookedAt:
    """A text and what is looked at of it."""

    def __init__(self, text: str, fold: Fold = visible) -> None:
        self._text = text
        self._fold = fold
        self.folded = text if text.isascii() else "".join(_folded(text, fold))
        self.data = encoded(self.folded)
        """The same as patterns read it."""

    def spans(self, found: Iterable[tuple[int, int, str]]) -> list[Span]:
        """Return bytes of `data`, from front to back and without overlaps, as characters of the text."""
        spans = []
        byte = character = 0
        for start, end, kind in found:
            first = character + len(self.data[byte:start].decode())
            last = first + len(self.data[start:end].decode())
            byte, character = end, last
            spans.append(self._span(first, last, kind))
        return spans

    def _span(self, first: int, last: int, kind: str) -> Span:
        if self._places is None:
            return Span(first, last, kind)
        return Span(self._places[first][0], self._places[last - 1][1], kind)

    @cached_property
    def _places(self) -> list[tuple[int, int]] | None:
        """Where each character of what is looked at comes from, None where that is the same place."""
        if self.folded == self._text:
            return None
        places: list[tuple[int, int]] = []
        for start, end, is_folded in _pieces(self._text):
            if is_folded:
                places += _within(self._text[start:end], start, self._fold)
            else:
                places += ((each, each + 1) for each in range(start, end))
        return places


def _folded(text: str, fold: Fold) -> Iterable[str]:
    return (fold(text[start:end]) if is_folded else text[start:end] for start, end, is_folded in _pieces(text))


def _pieces(text: str) -> Iterable[tuple[int, int, bool]]:
    """Yield the pieces of a text, and whether there is anything to fold in them."""
    at = 0
    for run in _RUN.finditer(text):
        begin = max(run.start() - 1, at)
        yield at, begin, False
        yield begin, run.end(), True
        at = run.end()
    yield at, len(text), False


def _within(piece: str, begin: int, fold: Fold) -> Iterable[tuple[int, int]]:
    parts = list(map(fold, piece))
    whole = fold(piece)
    if "".join(parts) == whole:
        return ((begin + at, begin + at + 1) for at, part in enumerate(parts) for _ in part)
    return ((begin, begin + len(piece)) for _ in whole)
