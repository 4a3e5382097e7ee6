"""The one account of what has become of a request."""

from typing import TYPE_CHECKING, Final

from tandem_orchestrator.engines.replica import Replica
from tandem_orchestrator.engines.verdict import ForRequest, blames_engine, judge
from tandem_orchestrator.errors import Cut, EngineError, Refused, Stopping

if TYPE_CHECKING:
    from asyncio import Event

SENT_AGAIN: Final = 1  # times for a request that an engine may have begun to read
DEATHS: Final = 2  # of engines that had a request in their hands, after which it goes to no other one


class Attempts:
    """How often a request failed, over all its models, engines and passes; made when it first does.

    Whatever might send it again asks here.
    """

    __slots__ = ("_begun", "_check", "_deaths", "_sent", "_stopping", "_suspect", "number", "tried")

    def __init__(self) -> None:
        self._deaths = 0
        self._begun = 0
        self._sent = 0
        self._suspect: Replica | None = None
        self._check: Event
        self._stopping = False
        self.number = 0
        """Failures at the model."""
        self.tried: dict[Replica, int] = {}
        """The model's replicas where it failed, and how many failures in a row they had by then."""

    @property
    def deadly(self) -> bool:
        """True once so many engines died with this request that it must go to none."""
        return self._deaths >= DEATHS

    def failed(self, replica: Replica, error: EngineError, retries: int, *, waits: bool) -> bool:
        """Note a failure; true if the request may be sent again.

        `retries` are the further attempts that are allowed; while nobody has seen it, it needs none of them where
        it `waits` for an engine.
        """
        kind = judge(error).request
        self.number += 1
        if kind is ForRequest.NO_ROOM:
            self._sent += 1
            return self._sent <= retries
        self.tried[replica] = replica.breaker.row
        if kind is ForRequest.UNSENT and waits:
            return True
        self._sent += 1
        if kind in (ForRequest.UNSENT, ForRequest.TURNED_AWAY):
            again = self._sent <= retries
        else:
            self._begun += 1
            self._deaths += kind is ForRequest.DIED
            # A connection that the engine has closed for being idle is no failure, but looks like one.
            stale = isinstance(error, Cut) and error.stale
            again = kind is not ForRequest.OVER and self._begun <= SENT_AGAIN and (stale or self._sent <= retries)
        if again and kind is not ForRequest.UNSENT:
            self._suspect, self._check, self._stopping = replica, replica.doubt(), isinstance(error, Stopping)
        return again and not self.deadly

    def left(self, candidate: Replica, error: EngineError) -> bool:
        """Note a failure at a candidate; true if the upstream that it stands beside may be asked, which costs none of
        the further attempts. An engine that says what is wrong with the request has answered it.
        """
        kind = judge(error).request
        if kind is not ForRequest.NO_ROOM:
            self.tried[candidate] = candidate.breaker.row
        self._begun += kind in (ForRequest.OVER, ForRequest.FAILED, ForRequest.DIED)
        self._deaths += kind is ForRequest.DIED
        answered = isinstance(error, Refused) and not blames_engine(error)
        return not answered and not self.deadly

    def suspects(self, replica: Replica) -> bool:
        """Return whether it is unknown that `replica` outlived the last failure: see `settled`."""
        return replica is self._suspect

    async def settled(self) -> None:
        """Wait until it is known whether the suspected replica lives."""
        suspect, self._suspect = self._suspect, None
        if suspect is not None:
            await suspect.settled(self._check, stopping=self._stopping)

    def answered(self, replica: Replica) -> None:
        """Note that an engine has answered. Those that failed at the same did so by themselves."""
        for other, row in self.tried.items():
            if other is not replica:
                other.blame(row)
        self.forget()
        self._begun = 0

    def forget(self) -> None:
        """Note that the request goes to another model, or is followed by the next pass."""
        self.tried.clear()
        self.number = self._sent = 0
        self._suspect = None
