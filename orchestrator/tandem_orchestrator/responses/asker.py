"""Who asks for a response."""

from dataclasses import dataclass
from typing import Protocol

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.gateway.hot_path import Arrived
from tandem_orchestrator.gateway.request import Headers
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.responses.items import Item


class Memory(Protocol):
    """What a connection remembers of responses that are kept nowhere else."""

    def items(self, response_id: str) -> list[Item] | None:
        """Return all items of a response and of what came before it; None for one that is not remembered."""

    def keep(self, response_id: str, items: list[Item]) -> None:
        """Remember a response that has ended."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and by what request."""

    principal: Principal
    record: Record
    headers: Headers
    memory: Memory | None = None


def asker_of(arrived: Arrived) -> Asker:
    """Return who sent a request over HTTP."""
    return Asker(arrived.principal, arrived.record, arrived.headers)
