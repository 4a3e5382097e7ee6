"""What rules look at in the place of a text: the same as a reader sees, and where each part of it stands in the text.

Characters that nobody sees are left out, and fullwidth, bold, circled and other forms of a character are the character
itself (Unicode's NFKC). Letters of other scripts that look alike, and texts in base64 or percent-encoding, stay what
they are.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from typing import Final

from tandem_contract.text_pattern import encoded

from tandem_orchestrator.guardrails.found import Span

INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]+"
)
"""What Unicode says to leave out where it is not understood (Default_Ignorable_Code_Point)."""
_RUN: Final = re.compile("[^\0-\x7f]+")
_PARTS_OF_HANGUL: Final = "\u1160", "\u11ff"
_MOST_KNOWN: Final = 0x10000
_FEW: Final = 16

Fold = Callable[[str], str]
"""Makes of a text what is looked at. What is before an ASCII character changes nothing about it and what follows."""


class _Forms(dict[int, str | int]):
    """What each character becomes, as `str.translate` asks for it; remembers those of everyday."""

    def __init__(self, form: Fold) -> None:
        super().__init__()
        self._form = form

    def __missing__(self, code: int) -> str | int:
        character = chr(code)
        form = "" if INVISIBLE.match(character) else self._form(character)
        known = code if form == character else form
        if code < _MOST_KNOWN:
            self[code] = known
        return known

    def of(self, text: str) -> str:
        """Return what the text becomes. Few characters of a text change, and most often the same."""
        changed = [
            character for character in set(text) if character > "\x7f" and self[ord(character)] != ord(character)
        ]
        if len(changed) > _FEW:
            return text.translate(self)
        for character in changed:
            text = text.replace(character, str(self[ord(character)]))
        return text


def _without_accents(character: str) -> str:
    parts = unicodedata.normalize("NFKD", character)
    return "".join(part for part in parts if not unicodedata.combining(part))


_VISIBLE: Final = _Forms(partial(unicodedata.normalize, "NFKC"))
_PLAIN: Final = _Forms(_without_accents)


def visible(text: str) -> str:
    """Return it without what nobody sees, in compatible forms."""
    return unicodedata.normalize("NFC", _VISIBLE.of(text))


def plain(text: str) -> str:
    """Return it without accents, too."""
    return _PLAIN.of(text)


def unfinished(text: str) -> int:
    """Return where the last character begins that a reader sees: what follows, such as an accent, may change it."""
    at = len(text) - 1
    while at > 0 and _changes_what_is_before(text[at]):
        at -= 1
    return max(at, 0)


def _changes_what_is_before(character: str) -> bool:
    if character <= "\x7f":
        return False
    form = _VISIBLE[ord(character)]
    first = (form if isinstance(form, str) else chr(form))[:1]
    return not first or _PARTS_OF_HANGUL[0] <= first <= _PARTS_OF_HANGUL[1] or unicodedata.category(first)[0] == "M"


class LookedAt:
    """A text and what is looked at of it; what stands before `begin` is for context, and is looked at by itself."""

    def __init__(self, text: str, fold: Fold = visible, begin: int = 0) -> None:
        self._text = text
        self._fold = fold
        self._parts = ((0, begin), (begin, len(text))) if begin else ((0, len(text)),)
        folded = [text[start:end] for start, end in self._parts]
        if not text.isascii():
            folded = [part if part.isascii() else fold(part) for part in folded]
        self.folded = "".join(folded)
        self.data = encoded(self.folded)
        """The same as patterns read it."""
        self.begin = len(encoded(folded[0])) if begin else 0
        """Where that begins in `data`."""

    def place(self, byte: int) -> int:
        """Return a byte of `data` as a character of the text."""
        if byte == len(self.data):
            return len(self._text)
        at = len(self.data[:byte].decode())
        if self._places is None:
            return at
        return self._places[at][0]

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
        for part, until in self._parts:
            for start, end, is_folded in _pieces(self._text, part, until):
                if is_folded:
                    places += _within(self._text[start:end], start, self._fold)
                else:
                    places += ((each, each + 1) for each in range(start, end))
        return places


def _pieces(text: str, start: int, end: int) -> Iterable[tuple[int, int, bool]]:
    """Yield the pieces of a part of a text, and whether there is anything to fold in them."""
    at = start
    for run in _RUN.finditer(text, start, end):
        begin = max(run.start() - 1, at)
        yield at, begin, False
        yield begin, run.end(), True
        at = run.end()
    yield at, end, False


def _within(piece: str, begin: int, fold: Fold) -> Iterable[tuple[int, int]]:
    """Return where the characters of a folded piece come from; of what became one all come from the same place."""
    places: list[tuple[int, int]] = []
    for start, end in _characters(piece):
        whole, parts = fold(piece[start:end]), list(map(fold, piece[start:end]))
        if "".join(parts) == whole:
            places += ((begin + at, begin + at + 1) for at, part in enumerate(parts, start) for _ in part)
        else:
            places += ((begin + start, begin + end) for _ in whole)
    whole = fold(piece)
    return places if len(places) == len(whole) else ((begin, begin + len(piece)) for _ in whole)


def _characters(piece: str) -> Iterable[tuple[int, int]]:
    """Yield where a reader sees a character, each with what changes it."""
    starts = [at for at, each in enumerate(piece) if not at or not _changes_what_is_before(each)]
    return zip(starts, [*starts[1:], len(piece)], strict=True)
