"""Admits requests within their limits; decides in memory alone."""

from tandem_contract.config import RateLimits

from tandem_orchestrator.auth.principal import Principal


class Ticket:
    """A request that was admitted; holds its place among the concurrent ones until `settle`."""

    __slots__ = ("headers",)

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        """The x-ratelimit-* headers of the answer; empty where nothing is limited."""

    def settle(self, tokens: int) -> None:
        """Ends the request, which used `tokens`; a second call does nothing."""


class Limiter:
    """All limits of this process."""

    def __init__(self, settings: RateLimits) -> None:
        self._settings = settings

    def admit(self, principal: Principal) -> Ticket:
        """Counts a request. Raises `LimitExceeded`."""
        del principal
        return Ticket()
