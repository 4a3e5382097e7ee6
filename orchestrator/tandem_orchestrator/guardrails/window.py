"""A text that comes in pieces, and how much of it may go on; does no I/O.

Each finder sees again what stands from the place on at which a hit may be open, so that it finds what it would in the
whole, wherever the pieces are cut. That waits with all that comes after it, but for no longer than `reach` characters.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from tandem_contract.config import GuardrailAction

from tandem_orchestrator.guardrails.found import Finder, Following, Span, Telling
from tandem_orchestrator.guardrails.looked_at import INVISIBLE
from tandem_orchestrator.guardrails.rail import Rail

LEAST_STEP: Final = 16  # characters that are looked at in one go
MOST_KEPT: Final = 65_536  # characters of a hit that goes on and on
CONTEXT: Final = 16  # characters before a hit by which a finder tells that a word begins; nobody may see some of them
WORD_END: Final = 1  # character behind a hit by which a finder may tell that a word ends

Note = Callable[[Rail, str], None]
"""Hears that a rail has found a kind."""


class Mask(NamedTuple):
    """A part of a text that nobody shall see; counted from the text's beginning."""

    start: int
    end: int
    label: str
    """What stands in its place; nothing where it goes on from one before."""


def reach_of(rail: Rail) -> int:
    """Return how many of a text's last characters may be of a hit that is not whole: up to the longest that the finder
    knows; of one that does not know it, up to two thirds of the window.
    """
    longest: int | None = getattr(rail.finder, "longest", None)
    return (rail.window * 2 // 3 if longest is None else longest) + WORD_END


class Looked:
    """What one finder has seen of a text."""

    __slots__ = ("_covered", "_finder", "_follower", "_settled", "_telling", "begin", "decided", "rail", "reach")

    def __init__(self, rail: Rail, finder: Finder) -> None:
        self.rail = rail
        self.reach = reach_of(rail)
        self._finder = finder
        self._follower = finder.follow() if isinstance(finder, Following) else None
        self._telling = finder if isinstance(finder, Telling) else None
        self.begin = 0
        """From where on it has to see the text again."""
        self.decided = 0
        """Where that ends in which it is known what begins."""
        self._settled = -1
        """The same, where it could not wait."""
        self._covered = 0
        """Where its last hit ends."""

    @property
    def holds(self) -> bool:
        """Whether the text waits for it."""
        return self.rail.action is not GuardrailAction.FLAG

    def look(self, text: str, start: int, *, last: bool) -> list[tuple[Mask, str]]:
        """Return what is known by now to be in a text of which `text` is the end, from `start` on, and was not before:
        each with its kind. Of the `last` all is known.
        """
        seen = max(start, self.begin - CONTEXT)
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


class Window:
    """`take` adds pieces; up to `clear` they may go on, if `cut` is not before that.

    Judges are asked by somebody else, about what `due` returns.
    """

    __slots__ = (
        "_holding",
        "_judge_window",
        "_judged",
        "_looks",
        "_masked",
        "_masks",
        "_next",
        "_note",
        "_pieces",
        "_settled",
        "_start",
        "_text",
        "clear",
        "cut",
        "judges",
        "length",
        "size",
    )

    def __init__(self, rails: Sequence[Rail], note: Note) -> None:
        self.judges = [rail for rail in rails if rail.judge is not None]
        """Who is to be asked."""
        self._looks = [Looked(rail, rail.finder) for rail in rails if rail.finder is not None]
        self._holding = [looked for looked in self._looks if looked.holds]
        self._next = LEAST_STEP
        self._judge_window = min((rail.window for rail in self.judges), default=0)
        reach = max((looked.reach for looked in self._looks), default=0)
        self.size = max(reach + max(LEAST_STEP, reach // 2), self._judge_window)
        """Characters that wait at most."""
        self._note = note
        self._pieces: list[str] = []
        self._text = ""
        self._start = 0
        """Where `_text` begins in the whole text."""
        self.length = 0
        """Of the whole text."""
        self.clear = 0
        """Where that ends which may go on."""
        self.cut: int | None = None
        """Where the text has to end."""
        self._settled = -1
        """How much of it could not wait."""
        self._judged = 0
        self._masks: list[Mask] = []
        self._masked = 0
        """Where the last mask ends that was shown."""

    def take(self, piece: str) -> None:
        """Add a piece."""
        self.length += len(piece)
        if self._looks or self.judges:
            self._pieces.append(piece)
        if self.length >= self._next and self._looks:
            self._look(last=False)
        if not (self._holding or self.judges):
            self.clear = self.length

    def settle(self) -> None:
        """Decide about all that is there, as no more comes, or not for now."""
        if self._settled < self.length:
            self._settled = self.length
            self._look(last=True)

    def due(self) -> str | None:
        """Return what the judges have to say something about, with what came before it; None where they can wait."""
        new = self.length - self._judged
        if not self.judges or not new or self.cut is not None:
            return None
        if new < self._judge_window and self._settled < self.length:
            return None
        self._join()
        return self._text[max(0, self._judged - self._judge_window - self._start) :]

    def judged(self, *, blocks: bool) -> None:
        """Take what the judges said of all that is there."""
        if blocks:
            self._cut_at(self._judged)
        self._judged = self.length
        self._forget()
        self._free()

    def shown(self, start: int, text: str) -> str | None:
        """Return what is to be seen of a piece that begins at `start`; None for the piece itself.

        Each piece is to be asked for once, in their order, and not before it is clear.
        """
        masks, end = self._masks, start + len(text)
        if start >= self._masked and (not masks or masks[0].start >= end):
            return None
        pieces, at = list[str](), min(max(start, self._masked), end)
        for mask in masks:
            if mask.start >= end:
                break
            if mask.start >= self._masked:
                pieces += (text[at - start : mask.start - start], mask.label)
            self._masked = max(self._masked, mask.end)
            at = min(self._masked, end)
        self._masks = [mask for mask in masks if mask.end > end]
        return "".join((*pieces, text[at - start :]))

    def _look(self, *, last: bool) -> None:
        """Have all look at what is there."""
        self._join()
        again = LEAST_STEP * 2
        for looked in self._looks:
            for mask, kind in looked.look(self._text, self._start, last=last):
                self._found(looked.rail, mask, kind)
            again = max(again, self.length - looked.decided, self.length - looked.begin - looked.reach)
        self._next = self.length + again // 2  # more, where more is looked at again
        self._forget()
        self._free()

    def _found(self, rail: Rail, mask: Mask, kind: str) -> None:
        self._note(rail, kind)
        if rail.action is GuardrailAction.BLOCK:
            self._cut_at(mask.start)
        elif rail.action is GuardrailAction.MASK:
            self._masks.append(mask)
            self._masks.sort(key=lambda mask: (mask.start, -mask.end))

    def _cut_at(self, position: int) -> None:
        self.cut = position if self.cut is None else min(self.cut, position)

    def _free(self) -> None:
        clear = min((looked.decided for looked in self._holding), default=self.length)
        self.clear = min(clear, self._judged) if self.judges else clear

    def _join(self) -> None:
        self._text = "".join((self._text, *self._pieces))
        self._pieces.clear()

    def _forget(self) -> None:
        """Keep what is to be seen again, and what the judges are yet to see."""
        before = min((looked.begin - CONTEXT for looked in self._looks), default=self.length)
        if self.judges:
            before = min(before, self._judged - self._judge_window)
        if before > self._start:
            self._text = self._text[before - self._start :]
            self._start = before
