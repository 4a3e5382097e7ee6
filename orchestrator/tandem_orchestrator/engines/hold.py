"""Requests that wait until a replica can take them."""

import asyncio
from bisect import bisect_left, insort
from collections.abc import Awaitable, Callable
from itertools import count
from operator import attrgetter
from typing import Final

from tandem_contract.config import Hold as HoldSettings

from tandem_orchestrator.errors import NoEngine, ShuttingDown
from tandem_orchestrator.observability.metrics import HELD_REQUESTS

RETRY_AFTER: Final = 5.0  # seconds
FIRST_BATCH: Final = 8  # requests that are let go at once when a replica appears; each further batch is twice as large
BATCH_SECONDS: Final = 0.05

Heartbeat = Callable[[], Awaitable[None]]
_number = attrgetter("number")


class QueueSlot:
    """One request's slot in the queue. It keeps its number and deadline when it comes back."""

    __slots__ = ("deadline", "label", "model", "number", "size", "turn", "waits")

    def __init__(self, model: str, label: str, size: int, number: int, waits: float) -> None:
        self.model = model
        self.label = label
        """The model as metrics may name it."""
        self.size = size
        self.number = number
        self.waits = waits
        """For how many seconds; they begin now."""
        self.deadline = asyncio.get_running_loop().time() + waits
        self.turn: asyncio.Future[None]

    @property
    def overdue(self) -> bool:
        """True once the request has waited and tried for long enough."""
        return asyncio.get_running_loop().time() >= self.deadline


class _Line:
    """The slots of one model, in the order of their arrival."""

    def __init__(self, may_go: Callable[[], bool]) -> None:
        self.slots: list[QueueSlot] = []
        self._may_go = may_go
        self._batch = FIRST_BATCH
        self._timer: asyncio.TimerHandle | None = None

    def advance(self) -> None:
        """Let the first ones go, and the others after them, as long as a replica can take them."""
        if self._timer is None:
            self._let_go()

    def stop(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _let_go(self) -> None:
        self._timer = None
        waiting = [slot for slot in self.slots if not slot.turn.done()]
        if not waiting or not self._may_go():
            self._batch = FIRST_BATCH
            return
        for slot in waiting[: self._batch]:
            slot.turn.set_result(None)
        self._batch *= 2
        self._timer = asyncio.get_running_loop().call_later(BATCH_SECONDS, self._let_go)


class Hold:
    """A bounded queue, whose bounds are shared evenly with the other `workers` of the pod.

    `may_go(model)` says whether a replica of the model can take a request now.
    """

    def __init__(self, settings: HoldSettings, workers: int, may_go: Callable[[str], bool]) -> None:
        self._settings = settings
        self._workers = workers
        self._may_go = may_go
        self._numbers = count()
        self.lines: dict[str, _Line] = {}
        """By model, while somebody waits for it."""
        self._count = 0
        self._bytes = 0
        self._closed = False

    @property
    def on(self) -> bool:
        """True if requests may wait at all."""
        return self._settings.max_requests > 0

    def update(self, settings: HoldSettings) -> None:
        """Take changed settings; who waits already keeps the deadline."""
        self._settings = settings

    def slot(self, model: str, label: str, size: int, most: float | None = None) -> QueueSlot:
        """Return a slot for a request of `size` bytes; its time begins now, and is `most` seconds or less."""
        seconds = self._settings.seconds
        waits = seconds if most is None else min(most, seconds)
        return QueueSlot(model, label, size, next(self._numbers), waits)

    def advance(self) -> None:
        """Let requests go that a replica can take; to be called when one may have become able to."""
        for line in self.lines.values():
            line.advance()

    def drain(self, seconds: float) -> None:
        """End all waiting in `seconds` from now, with `ShuttingDown`."""
        asyncio.get_running_loop().call_later(seconds, self._close)

    async def wait(self, slot: QueueSlot, heartbeat: Heartbeat | None, why: Callable[[], str]) -> None:
        """Wait for the request's turn, and await `heartbeat` again and again until then.

        `why` explains an error. Raises `NoEngine` beyond the bounds of number, bytes and time, `ShuttingDown`.
        """
        self._check(slot, why)
        slot.turn = asyncio.get_running_loop().create_future()
        self._enter(slot)
        try:
            await self._stay(slot, heartbeat, why)
        finally:
            self._leave(slot)

    def _check(self, slot: QueueSlot, why: Callable[[], str]) -> None:
        limits = self._settings
        if self._closed:
            raise ShuttingDown("the server is shutting down, and no engine came back in time")
        if not self.on:
            raise NoEngine(why(), retry_after=RETRY_AFTER)
        if self._count * self._workers >= limits.max_requests:
            problem = f"{self._count} requests wait already (hold.maxRequests)"
        elif (self._bytes + slot.size) * self._workers > limits.max_bytes:
            problem = "the requests that wait already leave no room for its bytes (hold.maxBytes)"
        else:
            return
        raise NoEngine(f"{why()}; {problem}", retry_after=RETRY_AFTER)

    async def _stay(self, slot: QueueSlot, heartbeat: Heartbeat | None, why: Callable[[], str]) -> None:
        loop = asyncio.get_running_loop()
        while (left := slot.deadline - loop.time()) > 0:
            await asyncio.wait((slot.turn,), timeout=min(left, self._settings.heartbeat_seconds) if heartbeat else left)
            if slot.turn.done():
                return slot.turn.result()
            if heartbeat is not None and not slot.overdue:
                await heartbeat()
        setting = "hold.seconds" if slot.waits >= self._settings.seconds else "models.fallbackSeconds"
        waited = f"it waited {slot.waits:g} s ({setting})"
        raise NoEngine(f"{why()}; {waited}", retry_after=RETRY_AFTER)

    def _enter(self, slot: QueueSlot) -> None:
        line = self.lines.get(slot.model)
        if line is None:
            line = self.lines[slot.model] = _Line(lambda: self._may_go(slot.model))
        insort(line.slots, slot, key=_number)
        self._count += 1
        self._bytes += slot.size
        HELD_REQUESTS.labels(slot.label).inc()

    def _leave(self, slot: QueueSlot) -> None:
        line = self.lines[slot.model]
        del line.slots[bisect_left(line.slots, slot.number, key=_number)]
        if not line.slots:
            line.stop()
            del self.lines[slot.model]
        self._count -= 1
        self._bytes -= slot.size
        HELD_REQUESTS.labels(slot.label).dec()

    def _close(self) -> None:
        self._closed = True
        for line in self.lines.values():
            for slot in line.slots:
                if not slot.turn.done():
                    slot.turn.set_exception(ShuttingDown("the server is shutting down, and no engine came back"))
