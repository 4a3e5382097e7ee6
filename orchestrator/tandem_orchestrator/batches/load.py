"""Reads what the engines of a model do."""

from tandem_orchestrator.batches.room import Load
from tandem_orchestrator.engines.catalogue import Catalogue, Model
from tandem_orchestrator.engines.dispatch import Dispatcher
from tandem_orchestrator.engines.replica import Replica
from tandem_orchestrator.errors import UnknownModel

UNKNOWN = Load(1, 0, 0, 0, 0)
"""That of a model which does not exist, as its requests are to be told."""


class _Others:
    """Requests in a replica that are not this process's, as far as its own counts tell of them."""

    __slots__ = ("_counted", "_most", "number")

    def __init__(self) -> None:
        self.number = 0
        self._counted = 0
        self._most = 0
        """Of ours, since it last counted: some may have ended while it did."""

    def look(self, replica: Replica) -> int:
        backlog = replica.backlog
        if backlog.counted != self._counted:
            self._counted = backlog.counted
            self.number = max(0, backlog.running + backlog.waiting - max(self._most, backlog.in_flight))
            self._most = 0
        self._most = max(self._most, replica.in_flight)
        return self.number


class Loads:
    """Looks at engines, again and again while there are lines."""

    def __init__(self, catalogue: Catalogue, dispatcher: Dispatcher) -> None:
        self._catalogue = catalogue
        self._dispatcher = dispatcher
        self._others: dict[str, dict[Replica, _Others]] = {}

    def name_of(self, name: str | None) -> str:
        """Return the name under which engines know a model, the default one for None; "" if there is none yet."""
        name = name or self._catalogue.default or ""
        try:
            return self._catalogue.find(name).name
        except UnknownModel:
            return name

    def of(self, name: str) -> Load:
        """Return what the engines of a model do now."""
        try:
            model = self._catalogue.find(name)
        except UnknownModel:
            return UNKNOWN
        ready = [replica for replica in model.takers if replica.available]
        return self._sum(model, ready)

    def _sum(self, model: Model, ready: list[Replica]) -> Load:
        lines = sum(replica.yielding for replica in ready)
        urgent = sum(replica.in_flight for replica in ready) - lines + self._dispatcher.held(model.line)
        known = self._others.get(model.name, {})
        self._others[model.name] = known = {replica: known.get(replica) or _Others() for replica in ready}
        urgent += sum(others.look(replica) for replica, others in known.items())
        capacities = [replica.backlog.capacity for replica in ready]
        return Load(
            len(ready),
            max(0, urgent),
            lines,
            sum(replica.backlog.waiting for replica in ready),
            sum(capacities) if all(capacities) else 0,
        )
