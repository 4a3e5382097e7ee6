"""What a request passes before its body is read: its key and its limits. All in memory."""

from tandem_orchestrator.auth.keys import Keys
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.limits.limiter import Limiter, Ticket
from tandem_orchestrator.observability.record import Record


class Admission:
    """The door to the engines."""

    def __init__(self, keys: Keys, limiter: Limiter) -> None:
        self._keys = keys
        self._limiter = limiter

    def identify(self, headers: list[tuple[bytes, bytes]], record: Record) -> Principal:
        """Find out who asks. Raises `Unauthorized`."""
        principal = self._keys.identify(headers)
        record.tenant, record.key_id = principal.tenant, principal.key_id
        return principal

    def admit(self, headers: list[tuple[bytes, bytes]], record: Record) -> tuple[Principal, Ticket]:
        """Find out who asks, and count the request among those that run; `settle` on the ticket must follow.

        The answer will tell the state of the limits. Raises `Unauthorized`, `LimitExceeded`.
        """
        principal = self.identify(headers, record)
        ticket = self._limiter.admit(principal)
        record.headers = ticket.headers
        return principal, ticket
