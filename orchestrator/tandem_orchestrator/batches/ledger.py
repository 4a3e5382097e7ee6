"""Outcomes that have not been written yet: those of many lines go together."""

import asyncio
from typing import TYPE_CHECKING, Final

from tandem_orchestrator.batches.batch import Batch
from tandem_orchestrator.batches.outcome import Outcome
from tandem_orchestrator.batches.work import Ended, Work

if TYPE_CHECKING:
    from tandem_orchestrator.store.rows import NamedRows

MOST_WAITING: Final = 2048  # outcomes; then no more lines are begun
MOST_BYTES: Final = 16_777_216
SOON: Final = 256  # outcomes that are written at once


class OpenSpan:
    """Lines in a row of which some have no outcome yet."""

    def __init__(self, batch: Batch, number: int, left: int) -> None:
        self.batch = batch
        self.number = number
        self.left = left
        """Lines without an outcome."""
        self.outcomes: dict[int, Outcome] = {}
        """Those that are to be written."""


class Ledger:
    """Writes what has come of lines; where that fails, the same again."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._spans: dict[OpenSpan, None] = {}
        self._number = self._bytes = 0
        self._unsure: list[NamedRows] = []
        """What may have been written, or not."""
        self.full = asyncio.Event()
        """Set when it should be written soon."""

    @property
    def has_room(self) -> bool:
        """Whether lines may be begun."""
        return self._number < MOST_WAITING and self._bytes < MOST_BYTES

    def add(self, span: OpenSpan, place: int, outcome: Outcome) -> None:
        """Add what came of the line at a place of a span."""
        span.outcomes[place] = outcome
        span.left -= 1
        self._spans[span] = None
        self._number += 1
        self._bytes += len(outcome.text)
        if self._number >= SOON or not self.has_room:
            self.full.set()

    async def write(self) -> set[tuple[str, str]]:
        """Write all; return the batches of which some was not taken, as they have ended. Raises `GatewayError`."""
        self.full.clear()
        refused: set[tuple[str, str]] = set()
        while self._unsure or self._spans:
            if not self._unsure:
                self._unsure = self.work.ending(self._taken())
            refused |= await self.work.end(self._unsure)
            self._unsure = []
        return refused

    def _taken(self) -> list[Ended]:
        taken = [Ended(span.batch, span.number, span.outcomes, not span.left) for span in self._spans]
        for span in self._spans:
            span.outcomes = {}
        self._spans.clear()
        self._number = self._bytes = 0
        return taken
