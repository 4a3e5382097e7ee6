"""A request's slot in the queue."""

import asyncio
from dataclasses import dataclass
from typing import Final

from tandem_orchestrator.engines.share import Share

SENT: Final = 2**62  # puts a number before all that were not sent


@dataclass(slots=True, eq=False)
class QueueSlot:
    """It keeps its number and deadline when its request comes back."""

    line: str
    """The queue in which it is."""
    label: str
    """The model as metrics may name it."""
    share: Share
    size: int
    """Bytes of the request."""
    cost: float
    """About how many tokens it takes."""
    number: int
    seconds: float
    """How long it may wait,"""
    deadline: float
    """and until when."""
    turn: asyncio.Future[None]
    charged: float = 0.0
    """What its tenant paid for its turn."""
    setting: str = "hold.seconds"
    """What says how long."""

    def wait_at_most(self, seconds: float) -> None:
        """Wait no longer than the model's fallback is to be waited for."""
        if seconds < self.seconds:
            self.deadline -= self.seconds - seconds
            self.seconds, self.setting = seconds, "models.fallbackSeconds"

    def change_line(self, line: str) -> None:
        """Stand in another queue from the next time on, where nothing has been paid for."""
        self.line, self.charged = line, 0.0

    def pay(self) -> None:
        """Charge the tenant for a turn."""
        self.charged = self.cost / self.share.weight

    def go_first(self) -> None:
        """Stand before those that no engine had yet, as one had this: it has had a turn, without having waited."""
        self.number -= SENT
        self.pay()

    @property
    def overdue(self) -> bool:
        """True once the request has waited and tried for long enough."""
        return asyncio.get_running_loop().time() >= self.deadline
