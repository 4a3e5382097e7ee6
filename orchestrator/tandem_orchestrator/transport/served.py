"""What the gateway asks of a client's exchange beyond ASGI's `receive` and `send`, and how any server answers that."""

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.types import Receive, Scope

EXCHANGE: Final = "exchange"
"""In the state of an ASGI scope, while its request is served: the `Served`."""
ON_END: Final = "on_end"
"""In the state of a WebSocket's scope: what takes a function to be called when the server ends. Others than ours have
none, and end WebSockets themselves."""


class Served:
    """A client's request that is being served."""

    __slots__ = ()

    def on_leave(self, leave: Callable[[], None] | None) -> None:
        """Have `leave` called when the client goes before it is answered, now if it has gone; None takes that back."""
        raise NotImplementedError

    def send_at_once(self, body: bytes) -> bool:
        """Send a piece of a stream that has begun, in this very call; false when that is for `send` to do."""
        raise NotImplementedError

    def take_body(self) -> bytes | None:
        """Return the request's body where all of it is there; None when it is for `receive` to bring it."""
        raise NotImplementedError


class PlainExchange(Served):
    """The same for a server that is not ours, such as uvicorn's own protocols or a test client in this process."""

    __slots__ = ("_receive", "_watching")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._watching: asyncio.Task[None] | None = None

    def on_leave(self, leave: Callable[[], None] | None) -> None:
        """See `Served`."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        if leave is not None:
            self._watching = asyncio.get_running_loop().create_task(self._watch(leave))

    def send_at_once(self, body: bytes) -> bool:  # noqa: ARG002 # see `Served`
        """See `Served`."""
        return False

    def take_body(self) -> bytes | None:
        """See `Served`."""
        return None

    async def _watch(self, leave: Callable[[], None]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        leave()


class Told(Served):
    """A client of whose going somebody else hears, and tells by `leave`."""

    __slots__ = ("_leave", "gone")

    def __init__(self) -> None:
        self.gone = False
        self._leave: Callable[[], None] | None = None

    def on_leave(self, leave: Callable[[], None] | None) -> None:
        """See `Served`."""
        self._leave = leave
        if leave is not None and self.gone:
            leave()

    def leave(self) -> None:
        """Note that the client has gone."""
        self.gone = True
        if self._leave is not None:
            self._leave()


def served(scope: Scope, receive: Receive) -> Served:
    """Return the exchange of the request that `scope` describes."""
    state = scope["state"]
    found: Served | None = state.get(EXCHANGE)
    if found is None:
        found = state[EXCHANGE] = PlainExchange(receive)
    return found
