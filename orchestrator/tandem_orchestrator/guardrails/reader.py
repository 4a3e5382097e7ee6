"""Reads a text that comes in pieces, and finds in it what is in the whole; does no I/O.

From the place on at which a hit may be open the text is to be read again, so that it is found wherever the pieces are
cut. It is waited for, with all that comes after it, but for no longer than `reach` characters.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from tandem_contract.config import GuardrailAction

from tandem_orchestrator.guardrails.found import Finder, Following, Span, Telling
from tandem_orchestrator.guardrails.looked_at import INVISIBLE
from tandem_orchestrator.guardrails.rail import Rail

MOST_KEPT: Final = 65_536  # characters of a hit that goes on and on
CONTEXT: Final = 16  # characters before a hit by which a finder tells that a word begins; nobody may see some of them
WORD_END: Final = 1  # character behind a hit by which a finder may tell that a word ends


class Mask(NamedTuple):
    """A part of a text that nobody shall see; counted from the text's beginning."""

    start: int
    end: int
    label: str
    """What stands in its place; nothing where it goes on from one before."""


class Reader:
    """Reads a text with one finder, whose hits are taken to have `most` characters where it does not know."""

    __slots__ = ("_covered", "_finder", "_follower", "_settled", "_telling", "begin", "decided", "rail", "reach")

    def __init__(self, rail: Rail, finder: Finder, most: int) -> None:
        self.rail = rail
        self.reach = (most if finder.longest is None else finder.longest) + WORD_END
        """Characters at the end of what there is that may be of a hit that is not whole."""
        self._finder = finder
        self._follower = finder.follow() if isinstance(finder, Following) else None
        self._telling = finder if isinstance(finder, Telling) else None
        self.restart()

    def restart(self) -> None:
        """Begin again at the text's beginning, knowing what counts for the whole."""
        self.begin = 0
        """From where on it has to see the text again."""
        self.decided = 0
        """Where that ends in which it is known what begins."""
        self._settled = -1
        """The same, where it could not wait."""
        self._covered = 0
        """Where its last hit ends."""

    @property
    def start(self) -> int:
        """From where on it has to be given the text."""
        return max(0, self.begin - CONTEXT)

    @property
    def holds(self) -> bool:
        """Whether the text waits for it."""
        return self.rail.action is not GuardrailAction.FLAG

    def read(self, text: str, start: int, *, last: bool) -> list[tuple[Mask, str]]:
        """Return what is known by now to be in a text of which `text` is the end, from `start` on, and was not before:
        each with its kind. Of the `last` all is known.
        """
        seen = max(start, self.start)
        text = text[seen - start :]
        opened = self._opened(text, seen)
        until = seen + len(text) if last else self._until(opened, text, seen)
        if until <= self.decided:
            return []
        found, keep = list[tuple[Mask, str]](), max(opened, until - self.reach)
        for span in self._find(text, seen, until):
            first, end = span.start + seen, span.end + seen
            if first < keep < end:
                keep = max(first, until - MOST_KEPT)  # or the finder would begin inside of it, and it may go on
            if first < until and (mask := self._new(first, end, span.kind)) is not None:
                found.append((mask, span.kind))
        self.begin, self.decided = keep, until
        if last:
            self._settled = until
        return found

    def _opened(self, text: str, seen: int) -> int:
        """Return where the text can be parted, of what there is from `seen` on."""
        return self.begin if self._telling is None else seen + self._telling.open(text, self.begin - seen)

    def _until(self, opened: int, text: str, seen: int) -> int:
        """Return before where all is known: what is open is waited for no longer than the longest hit is."""
        until = max(opened, self.decided)
        if until < seen + len(text) - self.reach:
            until = max(until, seen + _last(text, self.reach))
        return until

    def _find(self, text: str, seen: int, until: int) -> Sequence[Span]:
        if self._follower is not None:
            return self._follower.find(text, seen, self.begin - seen, until - seen)
        return self._finder.find(text) if self._telling is None else self._telling.find(text, self.begin - seen)

    def _new(self, start: int, end: int, kind: str) -> Mask | None:
        """Return what is new in a hit, which may be known, or a part of it."""
        label = f"[{kind.upper()}]"
        if start < self.decided:  # it is known, unless a part of it had to go on, or it is longer than was thought
            if self.decided != self._settled and self._covered <= self.decided:
                return None
            label = "" if self._covered >= self.decided else label
            start = max(self.decided, self._covered)
        if end <= start:
            return None
        self._covered = end
        return Mask(start, end, label)


def _last(text: str, count: int) -> int:
    """Return where the last characters begin, so many of them as somebody sees."""
    first = len(text) - count
    if not text.isascii():
        at, seen = len(text), 0
        while seen < count and len(text) - at < MOST_KEPT:
            first = max(0, at - (count - seen))
            seen += len(INVISIBLE.sub("", text[first:at]))
            if first == at:
                break
            at = first
    return first
