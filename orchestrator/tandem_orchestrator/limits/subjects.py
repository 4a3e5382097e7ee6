"""What every key, tenant and the service as a whole has used."""

from collections.abc import Iterator
from dataclasses import dataclass
from secrets import token_hex
from typing import Protocol

from tandem_orchestrator.limits.counters import Concurrency, Period, Window, day, month


@dataclass(slots=True, eq=False)
class Subject:
    """The counts of a key, a tenant or the service."""

    name: str
    requests: Window
    tokens: Window
    concurrency: Concurrency
    day: Period
    month: Period

    def idle(self, second: int) -> bool:
        """Return whether forgetting it changes nothing."""
        return not any(
            counter.at(second) for counter in (self.requests, self.tokens, self.concurrency, self.day, self.month)
        )


class Counters(Protocol):
    """Where counts are kept."""

    server: str
    """Names what is one replica to the others."""

    def open(self, name: str, second: int) -> Subject:
        """Return a subject's counts, which are zero at first, or what other processes have counted."""

    def close(self, subject: Subject) -> None:
        """Note that an idle subject is no longer needed."""


class OwnCounters:
    """Counts of one process."""

    def __init__(self) -> None:
        self.server = token_hex(8)

    def open(self, name: str, second: int) -> Subject:  # noqa: ARG002
        """Return a new subject."""
        return Subject(name, Window(), Window(), Concurrency(), Period(day), Period(month))

    def close(self, subject: Subject) -> None:
        """Do nothing: a process's own counts are freed with the subject."""


class Subjects:
    """Those that were heard of lately, by name."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._known: dict[str, Subject] = {}

    def __iter__(self) -> Iterator[Subject]:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)

    def get(self, name: str, second: int) -> Subject:
        """Return the subject of that name."""
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._counters.open(name, second)
        return found

    def sweep(self, second: int) -> None:
        """Forget the idle ones."""
        for subject in [subject for subject in self if subject.idle(second)]:
            del self._known[subject.name]
            self._counters.close(subject)
