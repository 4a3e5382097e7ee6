"""A text that comes in pieces, and how much of it may go on; does no I/O."""

from collections.abc import Callable, Sequence
from typing import Final

from tandem_contract.config import GuardrailAction

from tandem_orchestrator.guardrails.rail import Rail
from tandem_orchestrator.guardrails.reader import Mask, Reader

LEAST_STEP: Final = 16  # characters that are looked at in one go

Note = Callable[[Rail, str], None]
"""Hears that a rail has found a kind."""


class Window:
    """`take` adds pieces; up to `clear` they may go on, if `cut` is not before that.

    Judges are asked by somebody else, about what `due` returns.
    """

    __slots__ = (
        "_holding",
        "_judge_window",
        "_judged",
        "_masked",
        "_masks",
        "_next",
        "_note",
        "_pieces",
        "_readers",
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
        self._readers = [Reader(rail, rail.finder, rail.window * 2 // 3) for rail in rails if rail.finder is not None]
        self._holding = [reader for reader in self._readers if reader.holds]
        self._next = LEAST_STEP
        self._judge_window = min((rail.window for rail in self.judges), default=0)
        reach = max((reader.reach for reader in self._readers), default=0)
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
        if self._readers or self.judges:
            self._pieces.append(piece)
        if self.length >= self._next and self._readers:
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
        for reader in self._readers:
            for mask, kind in reader.read(self._text, self._start, last=last):
                self._found(reader.rail, mask, kind)
            again = max(again, self.length - reader.decided, self.length - reader.begin - reader.reach)
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
        clear = min((reader.decided for reader in self._holding), default=self.length)
        self.clear = min(clear, self._judged) if self.judges else clear

    def _join(self) -> None:
        self._text = "".join((self._text, *self._pieces))
        self._pieces.clear()

    def _forget(self) -> None:
        """Keep what is to be seen again, and what the judges are yet to see."""
        before = min((reader.start for reader in self._readers), default=self.length)
        if self.judges:
            before = min(before, self._judged - self._judge_window)
        if before > self._start:
            self._text = self._text[before - self._start :]
            self._start = before
