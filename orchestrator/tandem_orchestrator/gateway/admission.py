"""What a request passes before it may reach an engine: its key, its limits, its model. All in memory."""

from tandem_orchestrator.auth.keys import Keys
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.engines.catalogue import Catalogue, Model
from tandem_orchestrator.errors import Forbidden
from tandem_orchestrator.limits.limiter import Limiter, Ticket
from tandem_orchestrator.observability.record import Record


class Admission:
    """The door to the engines."""

    def __init__(self, keys: Keys, limiter: Limiter, catalogue: Catalogue) -> None:
        self._keys = keys
        self._limiter = limiter
        self._catalogue = catalogue

    @property
    def open(self) -> bool:
        """True while there are no keys: all clients are one tenant then."""
        return self._keys.open

    @property
    def default_model(self) -> str | None:
        """The model of a request that names none."""
        return self._catalogue.default

    def identify(self, headers: list[tuple[bytes, bytes]], record: Record) -> Principal:
        """Who asks. Raises `Unauthorized`."""
        principal = self._keys.identify(headers)
        record.tenant, record.key_id = principal.tenant, principal.key_id
        return principal

    def admit(self, headers: list[tuple[bytes, bytes]], record: Record) -> tuple[Principal, Ticket]:
        """Who asks, and a place among the requests that run; `settle` on it must follow.

        The answer will tell the state of the limits. Raises `Unauthorized`, `LimitExceeded`.
        """
        principal = self.identify(headers, record)
        ticket = self._limiter.admit(principal)
        record.headers = ticket.headers
        return principal, ticket

    def model(self, principal: Principal, name: str) -> Model:
        """The model that clients call `name`. Raises `UnknownModel`, `Forbidden`."""
        model = self._catalogue.find(name, principal.models)
        if principal.models is not None and principal.models.isdisjoint((name, model.name)):
            raise Forbidden(f"this key may not use the model {name!r}", param="model")
        return model
