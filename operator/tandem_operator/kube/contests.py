"""Fields that somebody writes back after us: which, who, and when ours is written again.

Kept in memory: after a restart each is tried once more.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from tandem_operator.api.component import Reference
from tandem_operator.kube.difference import Difference, Write, stamp
from tandem_operator.kube.store import Key, reference

FIRST_PAUSE: Final = 120.0
LONGEST_PAUSE: Final = 1800.0
_STRIKES: Final = 3
"""A field that is put right so often, each time soon after the last, is contested: hands do that once or twice."""
_CALM: Final = 600.0
"""Seconds after a pause without another change, which end a contest."""


@dataclass(frozen=True)
class Contest:
    """A field of a child that is not as wanted, or not for long."""

    child: Reference
    path: str
    by: str
    """Who writes it back."""


@dataclass(frozen=True)
class _Field:
    """What was written last of one field."""

    difference: Difference
    at: float
    strikes: int
    refused: bool
    """Whether the API server's answer to our own write was not as wanted."""

    @property
    def stays(self) -> bool:
        """Whether it is an addition that comes back in our own write: a default, or for the platform to decide."""
        return self.refused and self.difference.extra and not self.difference.exact

    @property
    def contested(self) -> bool:
        return self.strikes >= _STRIKES and not self.stays

    @property
    def pause(self) -> float:
        doublings = min(self.strikes - _STRIKES, 9)
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**doublings) if self.contested else 0.0

    def waits(self, now: float) -> bool:
        return self.stays or now < self.at + self.pause

    def lasts(self, now: float) -> bool:
        return now < self.at + self.pause + _CALM

    @property
    def by(self) -> str:
        if self.refused:
            return "an admission policy or webhook"
        return self.difference.manager or "a client without a name"


@dataclass
class _Record:
    """What was put right of one child, as long as the same is wanted of it."""

    fingerprint: str | None
    fields: dict[str, _Field] = field(default_factory=dict)


class Contests:
    """What was put right of every service's children, and how often."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: dict[Key, dict[Reference, _Record]] = defaultdict(dict)

    def holds(self, key: Key, write: Write) -> bool:
        """Return whether all that a write puts right is better left for a while."""
        record = self._record(key, write)
        if record is None or not write.corrects:
            return False
        fields = [record.fields.get(str(difference)) for difference in write.corrects]
        return all(found and found.waits(self._clock()) for found in fields)

    def note(self, key: Key, write: Write, left: Iterable[Difference]) -> None:
        """Take in a write; `left` is what the API server's answer to it has otherwise."""
        refused = {str(difference): difference for difference in left}
        written = {str(difference): difference for difference in write.corrects}
        if not written and not refused:
            return
        now, known = self._clock(), self._record(key, write)
        record = known or _Record(stamp(write.manifest))
        record.fields = {path: one for path, one in record.fields.items() if one.stays or one.lasts(now)}
        self._records[key][reference(write.manifest)] = record
        for path, difference in (written | refused).items():
            before = record.fields.get(path)
            goes_on = before and (path in refused or not before.refused)
            strikes = (before.strikes if before and goes_on else 0) + (known is not None or write.drift)
            if path in refused:
                strikes = max(strikes, _STRIKES)
            record.fields[path] = _Field(difference, now, strikes, path in refused)

    def settle(self, key: Key, child: Reference, found: Iterable[Difference]) -> None:
        """Forget what came back in our own writes and is no longer among the differences that are found."""
        record = self._records[key].get(child)
        if record:
            paths = {str(difference) for difference in found}
            record.fields = {path: one for path, one in record.fields.items() if path in paths or not one.refused}

    def keep(self, key: Key, children: Collection[Reference]) -> None:
        """Forget all of a service's children but these."""
        self._records[key] = {child: record for child, record in self._records[key].items() if child in children}
        if not self._records[key]:
            del self._records[key]

    def of(self, key: Key) -> list[Contest]:
        """Return the fields of a service's children that are contested."""
        now = self._clock()
        return [
            Contest(child, path, one.by)
            for child, record in self._records.get(key, {}).items()
            for path, one in sorted(record.fields.items())
            if one.contested and one.lasts(now)
        ]

    def _record(self, key: Key, write: Write) -> _Record | None:
        record = self._records[key].get(reference(write.manifest))
        return record if record and record.fingerprint == stamp(write.manifest) else None
