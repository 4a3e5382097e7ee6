"""Whose turn is next among those that wait: tenants by weight, interactive before batch. Does no I/O.

Start-time fair queueing (Goyal, Vin and Cheng, 1996): a turn costs its tenant what the request takes, divided by the
tenant's weight, and the next turn is that of the tenant which has paid the least. Who has not waited for a while
begins with those that have paid the least now, so that nobody saves up turns. What leaves unserved costs nothing.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from operator import attrgetter
from typing import Final

from tandem_orchestrator.engines.queue_slot import QueueSlot

BATCH_TURN: Final = 16  # each so manieth turn is batch's while others wait: little, and never nothing
MOST_IDLE: Final = 1024  # tenants without a request here that are remembered for what they have paid

_number = attrgetter("number")


class FairQueue:
    """The slots of one line. Each operation takes the logarithm of how many tenants and requests wait."""

    def __init__(self) -> None:
        self._interactive = _Turns()
        self._batch = _Turns()
        self._passed = 0
        """Turns in a row for which batch has waited."""

    def __len__(self) -> int:
        return len(self._interactive) + len(self._batch)

    def push(self, slot: QueueSlot) -> None:
        """Let a slot wait: behind those of its tenant that came before it; what it paid for a turn is given back."""
        self._turns_of(slot).push(slot)

    def pop(self) -> QueueSlot:
        """Return whose turn it is, who pays for it. Raises `IndexError` if nobody waits."""
        if not self._batch:
            return self._interactive.pop()
        self._passed += 1
        if self._interactive and self._passed < BATCH_TURN:
            return self._interactive.pop()
        self._passed = 0
        return self._batch.pop()

    def remove(self, slot: QueueSlot) -> None:
        """Take out a slot that waits."""
        self._turns_of(slot).remove(slot)

    def _turns_of(self, slot: QueueSlot) -> "_Turns":
        return self._batch if slot.share.batch else self._interactive


class _Flow:
    """What waits of one tenant, in the order of arrival; `start` is what it has paid before its next turn."""

    __slots__ = ("key", "slots", "start")

    def __init__(self, start: float) -> None:
        self.start = start
        self.slots: list[QueueSlot] = []
        self.key: tuple[float, int]


class _Turns:
    """The tenants of one class."""

    def __init__(self) -> None:
        self._flows: dict[str, _Flow] = {}
        self._order: list[tuple[float, int, str]] = []
        """Of each that waits: what it has paid, its first slot's number, its name."""
        self._idle: OrderedDict[str, float] = OrderedDict()
        """What was paid by those that do not wait and have paid more than `_now`."""
        self._now = 0.0
        """What the last one whose turn it was had paid before."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, slot: QueueSlot) -> None:
        tenant = slot.share.tenant
        flow = self._flows.get(tenant)
        if flow is None:
            flow = self._flows[tenant] = _Flow(max(self._now, self._idle.pop(tenant, 0.0)))
        else:
            self._unlist(tenant, flow)
        flow.start -= slot.charged
        slot.charged = 0.0
        insort(flow.slots, slot, key=_number)
        self._count += 1
        self._list(tenant, flow)

    def pop(self) -> QueueSlot:
        start, _, tenant = self._order.pop(0)
        flow = self._flows[tenant]
        slot = flow.slots.pop(0)
        self._count -= 1
        self._now = max(self._now, start)
        slot.pay()
        flow.start += slot.charged
        self._list(tenant, flow)
        return slot

    def remove(self, slot: QueueSlot) -> None:
        tenant = slot.share.tenant
        flow = self._flows[tenant]
        self._unlist(tenant, flow)
        del flow.slots[bisect_left(flow.slots, slot.number, key=_number)]
        self._count -= 1
        self._list(tenant, flow)

    def _list(self, tenant: str, flow: _Flow) -> None:
        if flow.slots:
            flow.key = flow.start, flow.slots[0].number
            insort(self._order, (*flow.key, tenant))
            return
        del self._flows[tenant]
        self._idle[tenant] = flow.start
        while self._idle and (len(self._idle) > MOST_IDLE or next(iter(self._idle.values())) <= self._now):
            self._idle.popitem(last=False)

    def _unlist(self, tenant: str, flow: _Flow) -> None:
        del self._order[bisect_left(self._order, (*flow.key, tenant))]
