"""Keep-alive connections to one engine."""

import asyncio
from urllib.parse import urlsplit

from tandem_contract.config import Timeouts

from tandem_orchestrator.errors import Cut, TimedOut, Unreachable
from tandem_orchestrator.gateway.connection import Connection, Response


class Pool:
    """Connections to the host of one URL. Cancelling a request closes its connection, so that none is lost."""

    def __init__(self, url: str, timeouts: Timeouts) -> None:
        parts = urlsplit(url)
        self._tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        self._timeouts = timeouts
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()

    @property
    def idle(self) -> int:
        """Open connections that carry no request."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """Open connections that carry a request."""
        return len(self._all) - len(self._idle)

    async def send(self, head: bytes, body: bytes) -> Response:
        """Sends one request and returns when the answer's headers are there. Raises `EngineError`.

        A request that met a connection which the engine had just closed is sent once more on a new one.
        """
        if connection := self._take():
            try:
                return await self._exchange(connection, head, body)
            except Cut as error:
                if not error.stale:
                    raise
        return await self._exchange(await self._connect(), head, body)

    def close(self) -> None:
        """Closes every connection."""
        for connection in tuple(self._all):
            connection.abort()

    def _take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def _exchange(self, connection: Connection, head: bytes, body: bytes) -> Response:
        response = connection.exchange(head, body, self._timeouts.first_byte_seconds)
        try:
            await response.started()
        except BaseException:
            response.close()
            raise
        return response

    async def _connect(self) -> Connection:
        connection = Connection(self._timeouts.idle_seconds, self._idle.append, self._forget)
        try:
            async with asyncio.timeout(self._timeouts.connect_seconds):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection, self._host, self._port, ssl=self._tls or None
                )
        except TimeoutError:
            raise TimedOut(
                f"the engine at {self._host}:{self._port} accepted no connection "
                f"within {self._timeouts.connect_seconds:g} s"
            ) from None
        except OSError as error:
            raise Unreachable(f"the engine at {self._host}:{self._port} cannot be reached: {error}") from error
        except BaseException:
            connection.abort()  # it may have opened in the moment of the cancellation
            raise
        if not connection.usable:
            raise Cut(f"the engine at {self._host}:{self._port} closed a new connection at once")
        self._all.add(connection)
        return connection

    def _forget(self, connection: Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
