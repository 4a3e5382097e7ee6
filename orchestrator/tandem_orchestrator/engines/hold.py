"""Requests that wait until a replica can take them."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final

from tandem_contract.config import Hold as HoldSettings

from tandem_orchestrator.engines.fair_queue import FairQueue
from tandem_orchestrator.engines.queue_room import QueueRoom
from tandem_orchestrator.engines.queue_slot import QueueSlot
from tandem_orchestrator.engines.share import Share
from tandem_orchestrator.errors import GatewayError, NoEngine, ShareExceeded, ShuttingDown
from tandem_orchestrator.observability.metrics import HELD_REQUESTS, LIMITED

RETRY_AFTER: Final = 5.0  # seconds
FIRST_BATCH: Final = 8  # requests that are let go at once when a replica appears; each further batch is twice as large
BATCH_SECONDS: Final = 0.05
QUEUE_SHARE: Final = "queue share"  # metric label

Heartbeat = Callable[[], Awaitable[None]]


class _Line:
    """A queue for some replicas. `room()` is how many requests they can take now, `let_go()` ends a wait."""

    def __init__(self, room: Callable[[], int], let_go: Callable[[QueueSlot], None]) -> None:
        self.queue = FairQueue()
        self.leaving = 0
        """Those that were let go, and are not on their way yet."""
        self._room = room
        self._let_go = let_go
        self._batch = FIRST_BATCH
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, slot: QueueSlot) -> None:
        """Let a slot wait, unless there is room at once."""
        self.queue.push(slot)
        if self._timer is None:
            self.let_one_go()

    def advance(self) -> None:
        """Let the first ones go, and the others after them, as long as a replica can take them."""
        if self._timer is None:
            self._let_batch_go()

    def let_one_go(self) -> bool:
        """Let the next one go if there is room; return whether one went."""
        if not self.queue or self._room() <= self.leaving:
            return False
        self._let_next_go()
        return True

    def stop(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _let_next_go(self) -> None:
        self.leaving += 1
        self._let_go(self.queue.pop())

    def _let_batch_go(self) -> None:
        self._timer = None
        going = min(self._room() - self.leaving, self._batch, len(self.queue))
        if going <= 0:
            self._batch = FIRST_BATCH
            return
        for _ in range(going):
            self._let_next_go()
        self._batch *= 2
        self._timer = asyncio.get_running_loop().call_later(BATCH_SECONDS, self._let_batch_go)


class Hold:
    """A bounded queue, whose bounds are shared evenly with the other `workers` of the pod.

    `room(model)` says how many more requests the model's replicas can take now. While somebody waits, `freed` stands
    in `on_free`, whose functions are called whenever a replica has one request less.
    """

    def __init__(
        self, settings: HoldSettings, workers: int, room: Callable[[str], int], on_free: list[Callable[[], None]]
    ) -> None:
        self._settings = settings
        self._room = room
        self._on_free = on_free
        self._numbers = count()
        self.lines: dict[str, _Line] = {}
        """By `Model.line`, while somebody waits there; where several have replicas in common, they take turns."""
        self.waiting = QueueRoom(workers)
        self._closed = False

    @property
    def on(self) -> bool:
        """True if requests may wait at all."""
        return self._settings.max_requests > 0

    def update(self, settings: HoldSettings) -> None:
        """Take changed settings; who waits already keeps the deadline."""
        self._settings = settings

    def slot(self, line: str, label: str, share: Share, size: int, cost: float) -> QueueSlot:
        """Return a slot in a line for a request of `size` bytes that takes about `cost` tokens; its time begins now."""
        loop, seconds = asyncio.get_running_loop(), self._settings.seconds
        turn, deadline = loop.create_future(), loop.time() + seconds
        return QueueSlot(line, label, share, size, cost, next(self._numbers), seconds, deadline, turn)

    def advance(self) -> None:
        """Let requests go that a replica can take; to be called when one may have become able to."""
        for line in self.lines.values():
            line.advance()

    def freed(self) -> None:
        """Let the next request go in the place of one that has ended."""
        for name, line in self.lines.items():
            if line.let_one_go():
                self.lines[name] = self.lines.pop(name)
                return

    def drain(self, seconds: float) -> None:
        """End all waiting in `seconds` from now, with `ShuttingDown`."""
        asyncio.get_running_loop().call_later(seconds, self._close)

    async def wait(self, slot: QueueSlot, heartbeat: Heartbeat | None, why: Callable[[], str]) -> None:
        """Wait for the request's turn, and await `heartbeat` again and again until then.

        `why` explains an error. Raises `NoEngine` beyond the bounds of number, bytes and time, `ShareExceeded` where
        other tenants have less in the queue, `ShuttingDown`.
        """
        self._make_room(slot, why)
        self._enter(slot)
        goes = False
        try:
            await self._stay(slot, heartbeat, why)
            goes = True
        finally:
            if slot in self.waiting:
                self._leave(slot)
            elif slot.turn.exception() is None:
                self.lines[slot.line].leaving -= 1
            self._tidy(slot.line)
            if not goes:
                self.freed()  # it may have been its turn

    def _make_room(self, slot: QueueSlot, why: Callable[[], str]) -> None:
        if self._closed:
            raise ShuttingDown("the server is shutting down, and no engine came back in time")
        if not self.on:
            raise NoEngine(why(), retry_after=RETRY_AFTER)
        displaced = self.waiting.displaced(slot, self._settings)
        if displaced is None:
            if self.waiting.others(slot.share.tenant):
                raise _share_exceeded()
            raise NoEngine(f"{why()}; {self.waiting.excess(self._settings)}", retry_after=RETRY_AFTER)
        for other in displaced:
            self._end(other, _share_exceeded())

    async def _stay(self, slot: QueueSlot, heartbeat: Heartbeat | None, why: Callable[[], str]) -> None:
        loop = asyncio.get_running_loop()
        while (left := slot.deadline - loop.time()) > 0:
            await asyncio.wait((slot.turn,), timeout=min(left, self._settings.heartbeat_seconds) if heartbeat else left)
            if slot.turn.done():
                return slot.turn.result()
            if heartbeat is not None and not slot.overdue:
                await heartbeat()
        waited = f"it waited {slot.seconds:g} s ({slot.setting})"
        raise NoEngine(f"{why()}; {waited}", retry_after=RETRY_AFTER)

    def _enter(self, slot: QueueSlot) -> None:
        if slot.turn.done():  # it comes back
            slot.turn = asyncio.get_running_loop().create_future()
        name = slot.line
        line = self.lines.get(name)
        if line is None:
            if not self.lines:
                self._on_free.append(self.freed)
            line = self.lines[name] = _Line(lambda: self._room(name), self._let_go)
        self.waiting.enter(slot)
        HELD_REQUESTS.labels(slot.label, slot.share.service_class).inc()
        line.enter(slot)

    def _let_go(self, slot: QueueSlot) -> None:
        self._count_out(slot)
        slot.turn.set_result(None)

    def _end(self, slot: QueueSlot, error: GatewayError) -> None:
        self._leave(slot)
        slot.turn.set_exception(error)

    def _leave(self, slot: QueueSlot) -> None:
        self.lines[slot.line].queue.remove(slot)
        self._count_out(slot)

    def _count_out(self, slot: QueueSlot) -> None:
        self.waiting.leave(slot)
        HELD_REQUESTS.labels(slot.label, slot.share.service_class).dec()

    def _tidy(self, name: str) -> None:
        line = self.lines.get(name)
        if line is not None and not line.queue and not line.leaving:
            line.stop()
            del self.lines[name]
            if not self.lines:
                self._on_free.remove(self.freed)

    def _close(self) -> None:
        self._closed = True
        for slot in self.waiting.slots():
            self._end(slot, ShuttingDown("the server is shutting down, and no engine came back"))


def _share_exceeded() -> ShareExceeded:
    LIMITED.labels("tenant", QUEUE_SHARE).inc()
    return ShareExceeded(
        "the queue is full, and this tenant has more of it than others; send fewer requests at the same time",
        retry_after=RETRY_AFTER,
    )
