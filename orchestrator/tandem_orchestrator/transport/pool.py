"""Keep-alive connections to one replica of an engine."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

from tandem_contract.config import SecretFile, Timeouts

from tandem_orchestrator.errors import Cut, TimedOut, Unreachable
from tandem_orchestrator.transport.engine_connection import Connection, LongBody, Response
from tandem_orchestrator.transport.trust import Trust


class Pool:
    """Connections to the host of one URL. Cancelling a request closes its connection, so that none is lost.

    With an `address` they all go there, while TLS goes on to ask for the URL's host. `authorities` are those that may
    have signed its certificate; by default those that the system trusts.
    """

    def __init__(
        self, url: str, timeouts: Timeouts, address: str | None = None, authorities: SecretFile | None = None
    ) -> None:
        parts = urlsplit(url)
        self._trust = Trust(authorities) if parts.scheme == "https" else None
        self._server_name = parts.hostname if self._trust else None
        self._host = address or parts.hostname or ""
        self._port = parts.port or (443 if self._trust else 80)
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._connecting = 0
        self._retired = False
        self.timeouts = timeouts
        self.on_free: list[Callable[[], None]] = []
        """Called when there is one request less; most often nobody waits for that."""

    @property
    def address(self) -> str:
        """Where the connections go, as host and port of a URL."""
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    @property
    def idle(self) -> int:
        """Open connections that carry no request."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """Requests under way, those that wait for their connection included."""
        return len(self._all) - len(self._idle) + self._connecting

    async def send(self, head: bytes, body: bytes) -> Response:
        """Send one request and return when the answer's headers are there. Raises `EngineError`.

        It is sent once: that a kept connection was closed already cannot be told from an engine that dies of it.
        """
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                break
        else:
            connection = await self._connect(self._keep)
        response = connection.exchange(head, body, self.timeouts)
        try:
            await response.started()
        except Cut as error:
            if error.stale:
                self._drop_idle()  # which are likely to be closed, too
            raise
        return response

    async def send_long(self, head: bytes, body: LongBody) -> Response:
        """Do the same with a body that is not in memory. A connection of its own tells before it whether one opens."""
        connection = await self._connect(self._keep)
        response = connection.exchange(head, b"", self.timeouts)
        try:
            await connection.send_rest(response, body)
        except BaseException:
            response.close()
            raise
        await response.started()
        return response

    async def send_apart(self, head: bytes, body: bytes) -> Response:
        """Return the same on a connection of its own, which only a server that lives opens."""
        connection = await self._connect(self._drop)
        response = connection.exchange(head, body, self.timeouts)
        await response.started()
        return response

    def retire(self) -> None:
        """Close each connection as soon as it carries no request."""
        self._retired = True
        self._drop_idle()

    def close(self) -> None:
        """Close every connection."""
        for connection in tuple(self._all):
            connection.abort()

    async def _connect(self, on_idle: Callable[[Connection], None]) -> Connection:
        tls = self._trust.context() if self._trust else None
        connection = Connection(on_idle, self._forget)
        seconds = self.timeouts.connect_seconds
        self._connecting += 1
        try:
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().create_connection(  # type: ignore[type-var] # a protocol by its methods
                    lambda: connection, self._host, self._port, ssl=tls, server_hostname=self._server_name
                )
        except TimeoutError:
            raise TimedOut(
                f"the engine accepted no connection in time (timeouts.connectSeconds: {seconds:g})",
                phase="connect",
                detail=self.address,
            ) from None
        except OSError as error:
            raise Unreachable("the engine cannot be reached", detail=f"{self.address}: {error}") from error
        except BaseException:
            connection.abort()  # it may have opened in the moment of the cancellation
            raise
        finally:
            self._connecting -= 1
        if not connection.usable:
            raise Unreachable("the engine closed a new connection at once", detail=self.address)
        self._all.add(connection)
        return connection

    def _keep(self, connection: Connection) -> None:
        if self._retired:
            connection.abort()
        else:
            self._idle.append(connection)
            for tell in self.on_free:
                tell()

    def _drop(self, connection: Connection) -> None:
        connection.abort()
        self._all.discard(connection)  # at once, not when asyncio has closed it, so that it does not count as busy

    def _drop_idle(self) -> None:
        for connection in tuple(self._idle):
            connection.abort()

    def _forget(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
            self._all.discard(connection)
        elif connection in self._all:
            self._all.discard(connection)
            for tell in self.on_free:
                tell()
