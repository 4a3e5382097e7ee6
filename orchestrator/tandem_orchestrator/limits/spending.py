"""What budgets are held against: tokens a day and a month, kept where they outlive the process."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

from tandem_orchestrator.limits.counters import DAY
from tandem_orchestrator.limits.subjects import Subject


class Ledger(Protocol):
    """Where tokens are written down for good."""

    async def load(self, period: str) -> dict[str, int]:
        """Return tokens by key id of a UTC day ("2026-11-21") or month ("2026-11")."""

    async def add(self, day: str, tokens: Mapping[str, int]) -> dict[str, int]:
        """Add tokens by key id to a UTC day; return what stands there for these keys then, by whomever.

        After an error the same call comes again, until it succeeds.
        """


class Spending:
    """Tokens that were used here and are yet to be written, and the totals that stand written.

    What is written includes other replicas', but lags; what was counted here does not. Neither is ever more than the
    truth, so the larger counts.
    """

    def __init__(self) -> None:
        self._unwritten: dict[str, dict[str, int]] = {}
        self._today: dict[str, int] = {}
        self._day = -1
        self._writing: tuple[str, dict[str, int]] | None = None
        self._totals: dict[str, dict[str, int]] = {}

    def add(self, key_id: str, second: int, tokens: int) -> int:
        """Note what a request used; return what the key has used since the last batch."""
        if second // DAY != self._day:
            self._turn(second)
        unwritten = self._today[key_id] = self._today.get(key_id, 0) + tokens
        return unwritten

    @property
    def batches(self) -> int:
        """How many batches hold all that is unwritten at this moment."""
        return (self._writing is not None) + sum(1 for tokens in self._unwritten.values() if tokens)

    def batch(self) -> tuple[str, dict[str, int]] | None:
        """Return a day and the tokens to write for it by key id; the same one until it is `written`."""
        if self._writing is None:
            day = next((day for day, tokens in self._unwritten.items() if tokens), None)
            if day is not None:
                self._writing = day, self._unwritten.pop(day)
                self._day = -1
        return self._writing

    def written(self, sums: Mapping[str, int]) -> None:
        """Note that the batch stands in the ledger, which has `sums` for its day and keys now."""
        if self._writing is not None:
            (day, tokens), self._writing = self._writing, None
            known = self._totals.get(day)
            if known is not None:  # else nobody can tell what of the sums is new
                tokens = {key_id: max(used, sums[key_id] - known.get(key_id, 0)) for key_id, used in tokens.items()}
            for period, totals in self._totals.items():
                for key_id in tokens if day.startswith(period) else ():
                    totals[key_id] = totals.get(key_id, 0) + tokens[key_id]

    def loaded(self, totals: dict[str, dict[str, int]]) -> None:
        """Take the ledger's totals by period and key id."""
        self._totals = totals

    def recall(self, subject: Subject, key_id: str, second: int) -> None:
        """Let the key's counts know of what is written."""
        for counter, period in zip((subject.day, subject.month), periods(second), strict=True):
            written = self._totals.get(period, {}).get(key_id, 0)
            counter.raise_to(second, written + self._own(period, key_id))

    def _own(self, period: str, key_id: str) -> int:
        days = [*self._unwritten.items(), *([self._writing] if self._writing else ())]
        return sum(tokens.get(key_id, 0) for day, tokens in days if day.startswith(period))

    def _turn(self, second: int) -> None:
        """Note that a day begins; days of former months matter to no budget any more."""
        today, month = periods(second)
        self._day = second // DAY
        self._unwritten = {day: tokens for day, tokens in self._unwritten.items() if day.startswith(month)}
        self._today = self._unwritten.setdefault(today, {})


def periods(second: int) -> tuple[str, str]:
    """Return what budgets are about, as ledgers name it: the UTC day and its month."""
    moment = datetime.fromtimestamp(second, UTC)
    return f"{moment:%Y-%m-%d}", f"{moment:%Y-%m}"
