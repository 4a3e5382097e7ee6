"""A listening socket in the test's own loop."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from weakref import WeakSet


class Listener:
    """Hands each connection of one address to a protocol that `make` makes, by TLS where there is a `context` for it.

    asyncio's own server leaks a connection that it accepts while it is closed.
    """

    def __init__(self, make: Callable[[], asyncio.Protocol], context: ssl.SSLContext | None = None) -> None:
        self._make = make
        self._context = context
        self._opening: set[asyncio.Task[None]] = set()
        self._transports: WeakSet[asyncio.Transport] = WeakSet()
        self._socket: socket.socket | None = None

    @property
    def serving(self) -> bool:
        return self._socket is not None

    def start(self, host: str, port: int = 0) -> int:
        """The port that it listens on; a free one for 0."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=1000)
        self._socket.settimeout(0)
        asyncio.get_running_loop().add_reader(self._socket, self._accept, self._socket)
        taken: int = self._socket.getsockname()[1]
        return taken

    def refuse(self) -> None:
        """Takes no connection from now on."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    async def aclose(self) -> None:
        """Takes no connection from now on, and cuts those that are open, before the loop ends."""
        self.refuse()
        await asyncio.gather(*self._opening)
        for transport in self._transports:
            transport.abort()
        await asyncio.sleep(0)  # in which their sockets are closed

    def _accept(self, listening: socket.socket) -> None:
        accepted, _ = listening.accept()
        # asyncio does so itself for a socket whose protocol has a number, which this one has not
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.get_running_loop().create_task(self._open(accepted, listening))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, accepted: socket.socket, listening: socket.socket) -> None:
        connecting = asyncio.get_running_loop().connect_accepted_socket(self._make, accepted, ssl=self._context)
        try:
            transport, _ = await connecting
        except OSError:  # it left while they shook hands
            return
        self._transports.add(transport)
        if listening is not self._socket:  # it was closed meanwhile
            transport.abort()


def stream_listener(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    context: ssl.SSLContext | None = None,
) -> Listener:
    """One whose connections are served by `serve`, as by `asyncio.start_server`."""
    return Listener(lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader(), serve), context)
