"""Counts in memory that the worker processes of one server share, so that limits are those of one process.

A file of 64-bit integers, mapped by every worker. Each subject has a slot and each worker a column in it, which it
alone writes: counting needs no lock. Cells carry the second or day they belong to, so that nobody has to clear them.
A worker counts first and then reads the others' columns: two never both take the last of a limit (both may be refused).
Slots are given out under a file lock, when a worker meets a subject for the first time.
"""

import fcntl
import mmap
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final

import structlog

from tandem_orchestrator.limits.counters import DAY, WINDOW, Bounds, Concurrency, Period, Window, day, month
from tandem_orchestrator.limits.subjects import OwnCounters, Subject

SLOTS: Final = 16_384
PROBES: Final = 64
"""How far from where its hash points a subject's slot may be."""
RING: Final = 64
"""Cells of a window: a power of two above its seconds."""

PINNED: Final = 0
CONCURRENT: Final = 1
DAY_TOKENS: Final = 2
MONTH_TOKENS: Final = 3
REQUESTS: Final = 4
TOKENS: Final = REQUESTS + RING
COLUMN: Final = TOKENS + RING
"""Cells of a worker in a slot, and where what is."""

HEADER: Final = 2
"""Cells before the slots: the number of workers, the server's identity."""

SECOND_SHIFT: Final = 32
COUNT: Final = (1 << SECOND_SHIFT) - 1
DAY_SHIFT: Final = 48
TOKEN_COUNT: Final = (1 << DAY_SHIFT) - 1
"""A cell of a window is its second and a count, a cell of a period its first day and a count."""

Cells = memoryview

log = structlog.get_logger()


class SharedWindow(Window):
    """A window that others see. What they counted is read when it is asked for, and kept once it cannot change."""

    __slots__ = ("_cell", "_cells", "_growing", "_mine", "_others", "_own")

    def __init__(self, cells: Cells, mine: int, others: tuple[int, ...], second: int) -> None:
        super().__init__()
        self._cells = cells
        self._mine = mine
        self._others = others
        super()._roll(second)
        for past in range(second - WINDOW, second + 1):  # what this worker counted before it was restarted
            self.buckets[past] = self._read(mine, past)
            if past < second - 1:
                self._keep(past)
        self.total = sum(self.buckets.values())
        self._turn()

    def at(self, second: int) -> int:
        """Return the sum."""
        if second != self.second:
            self._roll(second)
        return self.total + self._others_now()

    def add(self, second: int, count: int) -> int:
        """Count here, for all to see, and return the new sum."""
        if second != self.second:
            self._roll(second)
        self.buckets[self.second] += count
        self.total += count
        self._own += count
        self._cells[self._cell] = self._own
        return self.total + self._others_now()

    def _others_now(self) -> int:
        """Return what the others have counted in seconds in which they may still count."""
        cells, total = self._cells, 0
        for cell, stamp in self._growing:
            count = cells[cell] - stamp
            if 0 <= count <= COUNT:
                total += count
        return total

    def _roll(self, second: int) -> None:
        before = self.second
        super()._roll(second)
        if before != self.second:
            for past in range(max(before - 1, second - WINDOW), second - 1):
                self._keep(past)
            self._turn()

    def _turn(self) -> None:
        """Note that a second begins. In it and its neighbours others may count: they may be a moment behind,
        or ahead.
        """
        second = self.second
        self._cell = self._mine + second % RING
        self._own = (second << SECOND_SHIFT) + self.buckets[second] - self.elsewhere.get(second, 0)
        near = range(second - 1, second + 2)
        self._growing = [(other + each % RING, each << SECOND_SHIFT) for other in self._others for each in near]

    def _keep(self, second: int) -> None:
        for other in self._others:
            if count := self._read(other, second):
                self.absorb(second, count)

    def _read(self, column: int, second: int) -> int:
        cell: int = self._cells[column + second % RING]
        return cell & COUNT if cell >> SECOND_SHIFT == second else 0


class SharedPeriod(Period):
    """A period's tokens that others see."""

    __slots__ = ("_cells", "_mine", "_others", "_stamp")

    def __init__(self, bounds: Bounds, cells: Cells, mine: int, others: tuple[int, ...], second: int) -> None:
        super().__init__(bounds)
        self._cells = cells
        self._mine = mine
        self._others = others
        self._roll(second)
        self.here = self._read(mine)

    def at(self, second: int) -> int:
        """Return the sum since the period began."""
        total = super().at(second)
        for other in self._others:
            total += self._read(other)
        return total

    def add(self, second: int, count: int) -> int:
        """Count here, for all to see, and return the new sum."""
        super().add(second, count)
        self._cells[self._mine] = self._stamp + self.here
        return self.at(second)

    def _roll(self, second: int) -> None:
        super()._roll(second)
        self._stamp = self.start // DAY << DAY_SHIFT

    def _read(self, column: int) -> int:
        count: int = self._cells[column] - self._stamp
        return count if 0 <= count <= TOKEN_COUNT else 0


class SharedConcurrency(Concurrency):
    """Requests under way in all workers."""

    __slots__ = ("_cells", "_mine", "_others")

    def __init__(self, cells: Cells, mine: int, others: tuple[int, ...]) -> None:
        super().__init__()
        self._cells = cells
        self._mine = mine
        self._others = others

    def at(self, _: int) -> int:
        """Return how many there are."""
        total = self.here + self.elsewhere
        for other in self._others:
            total += self._cells[other]
        return total

    def enter(self) -> int:
        """Count one more; return the new number."""
        self.here += 1
        self._cells[self._mine] = self.here
        return self.at(0)

    def leave(self) -> None:
        """Count one less."""
        self.here -= 1
        self._cells[self._mine] = self.here


class SharedCounters:
    """Counts of all workers of one server, in the file `path`, which the first of them makes.

    `worker` counts from 0. A worker that is started again under its number goes on with its own counts; the requests
    that it had under way are forgotten. Raises `ValueError` if the file belongs to another number of workers.
    """

    def __init__(self, path: Path, worker: int, workers: int) -> None:
        self._workers = workers
        self._worker = worker
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        cells = HEADER + SLOTS * (1 + workers * COLUMN)
        with self._lock():
            fresh = os.fstat(self._file).st_size == 0
            if fresh:
                os.truncate(self._file, cells * 8)  # a sparse file: slots that nobody uses take no memory
            elif os.fstat(self._file).st_size != cells * 8:
                raise ValueError(f"{path}: these counts belong to a server with another number of workers")
            self._map = mmap.mmap(self._file, cells * 8)
            self._cells = memoryview(self._map).cast("q")
            if fresh:
                self._cells[0], self._cells[1] = workers, secrets.randbits(62)
            else:
                self._clear_column()
        self.server = f"{self._cells[1]:x}"
        """Tells this server's workers from those of other replicas."""
        self._full = False

    def open(self, name: str, second: int) -> Subject:
        """Return a subject's counts. Where there is no slot left, which is logged, they are this worker's alone."""
        with self._lock():
            slot = self._find(_digest(name), second)
            if slot is not None:
                self._cells[self._column(slot, self._worker) + PINNED] = 1
        if slot is None:
            if not self._full:
                log.warning("no room for more shared counts, some limits are each worker's own", slots=SLOTS)
            self._full = True
            return OwnCounters().open(name, second)
        mine = self._column(slot, self._worker)
        others = [self._column(slot, worker) for worker in range(self._workers) if worker != self._worker]

        def columns(part: int) -> tuple[Cells, int, tuple[int, ...]]:
            return self._cells, mine + part, tuple(other + part for other in others)

        return Subject(
            name,
            SharedWindow(*columns(REQUESTS), second),
            SharedWindow(*columns(TOKENS), second),
            SharedConcurrency(*columns(CONCURRENT)),
            SharedPeriod(day, *columns(DAY_TOKENS), second),
            SharedPeriod(month, *columns(MONTH_TOKENS), second),
        )

    def close(self, subject: Subject) -> None:
        """Let others have the slot, once no worker needs it."""
        with self._lock():
            slot = self._slot_of(_digest(subject.name))
            if slot is not None:
                self._cells[self._column(slot, self._worker) + PINNED] = 0

    @contextmanager
    def _lock(self) -> Iterator[None]:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _column(self, slot: int, worker: int) -> int:
        return HEADER + SLOTS + (slot * self._workers + worker) * COLUMN

    def _slot_of(self, digest: int) -> int | None:
        for slot in _candidates(digest):
            if self._cells[HEADER + slot] == digest:
                return slot
        return None

    def _find(self, digest: int, second: int) -> int | None:
        """Return the subject's slot, else a free one, which is made its own."""
        slot = self._slot_of(digest)
        if slot is None:
            slot = next((slot for slot in _candidates(digest) if self._is_free(slot, second)), None)
            if slot is not None:
                self._cells[HEADER + slot] = digest
                first = self._column(slot, 0)
                self._cells[first : first + self._workers * COLUMN] = memoryview(
                    bytes(self._workers * COLUMN * 8)
                ).cast("q")
        return slot

    def _is_free(self, slot: int, second: int) -> bool:
        if not self._cells[HEADER + slot]:
            return True
        today, this_month = day(second)[0] // DAY, month(second)[0] // DAY
        return not any(
            self._cells[column + PINNED]
            or self._cells[column + DAY_TOKENS] >> DAY_SHIFT == today
            or self._cells[column + MONTH_TOKENS] >> DAY_SHIFT == this_month
            for column in (self._column(slot, worker) for worker in range(self._workers))
        )

    def _clear_column(self) -> None:
        """Forget what a former worker of this number held when it ended."""
        for slot in range(SLOTS):
            if self._cells[HEADER + slot]:
                column = self._column(slot, self._worker)
                self._cells[column + PINNED] = self._cells[column + CONCURRENT] = 0


def _digest(name: str) -> int:
    """Return a number other than zero that stands for the name."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) >> 1 | 1


def _candidates(digest: int) -> Iterator[int]:
    """Return the slots that a subject may have."""
    return ((digest + probe) % SLOTS for probe in range(PROBES))
