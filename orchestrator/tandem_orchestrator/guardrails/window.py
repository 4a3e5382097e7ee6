"""A text that comes in pieces, and how much of it may go on; does no I/O.

What was looked at stays for a while as context, so that a hit is found wherever the pieces are cut. A hit that begins
`reach` characters before the end may still grow, or be none: it waits, with all that comes after it.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from tandem_contract.config import GuardrailAction

from tandem_orchestrator.guardrails.found import Finder, Following, Span
from tandem_orchestrator.guardrails.looked_at import INVISIBLE
from tandem_orchestrator.guardrails.rail import Rail

LEAST_STEP: Final = 16  # characters that are looked at in one go
MOST_KEPT: Final = 65_536  # characters of a hit that goes on and on
WORD_END: Final = 1  # character behind a hit by which a finder may tell that a word ends

Note = Callable[[Rail, str], None]
"""Hears that a rail has found a kind."""


class Mask(NamedTuple):
    """A part of a text that nobody shall see; counted from the text's beginning."""

    start: int
    end: int
    label: str
    """What stands in its place; nothing where it goes on from one before."""


class Reach(NamedTuple):
    """How a text is looked at, in characters."""

    reach: int
    """Of its end, where hits may begin that are not whole."""
    step: int
    """Of what is new, at least; so much more than `reach` allows that each character is looked at a few times only."""


def reach_of(rails: Sequence[Rail]) -> Reach:
    """Return it for all that look by rules: hits are found up to the longest that a finder knows; of finders that do
    not know it, up to two thirds of the window.
    """
    window = min((rail.window for rail in rails), default=0)
    reach = max((_longest(rail) for rail in rails), default=0) + WORD_END
    return Reach(reach, max(window - reach, reach // 2, LEAST_STEP))


def _longest(rail: Rail) -> int:
    longest: int | None = getattr(rail.finder, "longest", None)
    return rail.window * 2 // 3 if longest is None else longest


class Looked:
    """What one finder has seen of a text."""

    __slots__ = ("_finder", "_follower", "action", "covered", "rail")

    def __init__(self, rail: Rail, finder: Finder) -> None:
        self.rail = rail
        self.action = rail.action
        self._finder = finder
        self._follower = finder.follow() if isinstance(finder, Following) else None
        self.covered = 0
        """Where its last hit ends."""

    def find(self, text: str, start: int, until: int) -> Sequence[Span]:
        """See `Follower`."""
        return self._finder.find(text) if self._follower is None else self._follower.find(text, start, until)


class Window:
    """`take` adds pieces; up to `clear` they may go on, if `cut` is not before that.

    Judges are asked by somebody else, about what `due` returns.
    """

    __slots__ = (
        "_decided",
        "_holds",
        "_judge_window",
        "_judged",
        "_looks",
        "_masked",
        "_masks",
        "_next",
        "_note",
        "_pieces",
        "_reach",
        "_settled",
        "_start",
        "_text",
        "_wait",
        "clear",
        "cut",
        "judges",
        "length",
        "size",
    )

    def __init__(self, rails: Sequence[Rail], note: Note) -> None:
        looking = [rail for rail in rails if rail.finder is not None]
        self.judges = [rail for rail in rails if rail.judge is not None]
        """Who is to be asked."""
        self._looks = [Looked(rail, rail.finder) for rail in looking if rail.finder is not None]
        self._reach, step = reach_of(looking)
        self._wait = self._next = self._reach + step
        self._judge_window = min((rail.window for rail in self.judges), default=0)
        self._holds = bool(self.judges) or any(rail.action is not GuardrailAction.FLAG for rail in looking)
        self.size = max(self._wait, self._judge_window)
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
        self._decided = 0
        """Where that ends in which it is known what begins."""
        self._settled = -1
        """The same, where it could not wait."""
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
            self._look(self._undecided())
            self._free()
        elif not self._holds:
            self.clear = self.length

    def settle(self) -> None:
        """Decide about all that is there, as no more comes, or not for now."""
        if self._decided < self.length:
            if self._looks:
                self._look(self.length)
            self._decided = self._settled = self.length
            self._free()

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
        if not self._looks:
            self._forget(self._judged - self._judge_window)
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

    def _undecided(self) -> int:
        """Return where a hit may begin that is not whole yet: what nobody sees makes it no longer."""
        self._join()
        until = self.length - self._reach
        if not self._text.isascii():
            at, seen = self.length, 0
            while seen < self._reach and self.length - at < MOST_KEPT:
                until = max(self._start, at - (self._reach - seen))
                seen += len(INVISIBLE.sub("", self._text[until - self._start : at - self._start]))
                if until == at:
                    break
                at = until
        return max(until, self._decided)

    def _look(self, until: int) -> None:
        """Decide about all that begins before `until`."""
        self._join()
        keep = until - self._reach
        for looked in self._looks:
            for span in looked.find(self._text, self._start, until - self._start):
                start, end = span.start + self._start, span.end + self._start
                if start < keep < end:
                    keep = max(start, until - MOST_KEPT)  # or the finder would begin inside of it, and it may go on
                if start < until:
                    self._found(looked, start, end, span.kind)
        self._decided = until
        self._forget(min(keep, self._judged - self._judge_window) if self.judges else keep)
        again = self.length - self._start - self._reach
        self._next = self.length + max(self._wait - self._reach, again // 2)  # more, where more is looked at again

    def _found(self, looked: Looked, start: int, end: int, kind: str) -> None:
        label = f"[{kind.upper()}]"
        if start < self._decided:  # it is known, unless a part of it had to go on, or it is longer than was thought
            if self._decided != self._settled and looked.covered <= self._decided:
                return
            label = "" if looked.covered >= self._decided else label
            start = max(self._decided, looked.covered)
        if end <= start:
            return
        looked.covered = end
        self._note(looked.rail, kind)
        if looked.action is GuardrailAction.BLOCK:
            self._cut_at(start)
        elif looked.action is GuardrailAction.MASK:
            self._masks.append(Mask(start, end, label))
            self._masks.sort(key=lambda mask: (mask.start, -mask.end))

    def _cut_at(self, position: int) -> None:
        self.cut = position if self.cut is None else min(self.cut, position)

    def _free(self) -> None:
        clear = self._decided if self._looks and self._holds else self.length
        self.clear = min(clear, self._judged) if self.judges else clear

    def _join(self) -> None:
        self._text = "".join((self._text, *self._pieces))
        self._pieces.clear()

    def _forget(self, before: int) -> None:
        if before > self._start:
            self._text = self._text[before - self._start :]
            self._start = before
