"""Who takes up how much of the queue, and who gives way when it is full. Does no I/O."""

from typing import TYPE_CHECKING

from tandem_contract.config import Hold

from tandem_orchestrator.engines.queue_slot import QueueSlot
from tandem_orchestrator.engines.share import Share

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Part:
    """What a tenant has in the queue."""

    __slots__ = ("bytes", "count", "share")

    def __init__(self, share: Share, count: int, size: int) -> None:
        self.share = share
        self.count = count
        self.bytes = size

    def rank(self, settings: Hold) -> tuple[bool, float]:
        """Who ranks highest gives way first: batch, then who has the most by its weight, of the number or the bytes."""
        part = max(self.count / settings.max_requests, self.bytes / max(1, settings.max_bytes))
        return self.share.batch, part / self.share.weight


class QueueRoom:
    """All that wait, whatever they wait for; the bounds are shared evenly with the other `workers` of the pod."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._slots: dict[str, dict[QueueSlot, None]] = {}
        """By tenant, in the order of their coming."""
        self._bytes: dict[str, int] = {}
        self.count = 0
        self.bytes = 0

    def __contains__(self, slot: QueueSlot) -> bool:
        return slot in self._slots.get(slot.share.tenant, ())

    def others(self, tenant: str) -> int:
        """Return how many wait of other tenants."""
        return self.count - len(self._slots.get(tenant, ()))

    def enter(self, slot: QueueSlot) -> None:
        """Count a slot."""
        tenant = slot.share.tenant
        self._slots.setdefault(tenant, {})[slot] = None
        self._bytes[tenant] = self._bytes.get(tenant, 0) + slot.size
        self.count += 1
        self.bytes += slot.size

    def leave(self, slot: QueueSlot) -> None:
        """Count it no more."""
        tenant = slot.share.tenant
        del self._slots[tenant][slot]
        self._bytes[tenant] -= slot.size
        if not self._slots[tenant]:
            del self._slots[tenant], self._bytes[tenant]
        self.count -= 1
        self.bytes -= slot.size

    def slots(self) -> list[QueueSlot]:
        """Return all that wait."""
        return [slot for slots in self._slots.values() for slot in slots]

    def excess(self, settings: Hold) -> str:
        """Return which bound one that does not fit in is beyond."""
        if (self.count + 1) * self._workers > settings.max_requests:
            return f"{self.count} requests wait already (hold.maxRequests)"
        return "the requests that wait already leave no room for its bytes (hold.maxBytes)"

    def _fit(self, settings: Hold, count: int, size: int) -> bool:
        return count * self._workers <= settings.max_requests and size * self._workers <= settings.max_bytes

    def displaced(self, slot: QueueSlot, settings: Hold) -> list[QueueSlot] | None:
        """Return who has to leave for `slot` to fit in: the youngest of those that have more than its tenant.

        None if it does not fit in so.
        """
        count, size = self.count + 1, self.bytes + slot.size
        if self._fit(settings, count, size):
            return []
        parts = {name: _Part(_any(slots).share, len(slots), self._bytes[name]) for name, slots in self._slots.items()}
        own = parts.pop(slot.share.tenant, _Part(slot.share, 0, 0))
        rank = _Part(slot.share, own.count + 1, own.bytes + slot.size).rank(settings)
        youngest: dict[str, Iterator[QueueSlot]] = {}
        leaving: list[QueueSlot] = []
        while not self._fit(settings, count, size):
            most = max(parts, key=lambda tenant: parts[tenant].rank(settings), default=None)
            if most is None or parts[most].rank(settings) <= rank:
                return None
            victim = next(youngest.setdefault(most, reversed(self._slots[most])))
            leaving.append(victim)
            parts[most].count -= 1
            parts[most].bytes -= victim.size
            count, size = count - 1, size - victim.size
        return leaving


def _any(slots: dict[QueueSlot, None]) -> QueueSlot:
    return next(iter(slots))
