"""SQLAlchemy's transactions on PostgreSQL, whose pool forgets connections that somebody has to close."""

from typing import Any, Final

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

CONNECT_SECONDS: Final = 3.0


def postgresql_engine(url: str) -> AsyncEngine:
    """Return an engine none of whose connections outlives its `dispose` for longer than it is in use."""
    connections = _Connections(url)
    # asyncpg reads the URL itself, since it knows what SQLAlchemy's dialect does not: sslmode, several hosts.
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connections.open,
        pool_size=2,
        max_overflow=4,
        pool_pre_ping=True,
    )
    event.listen(engine.sync_engine, "checkout", connections.check_out)
    event.listen(engine.sync_engine, "checkin", connections.check_in)
    event.listen(engine.sync_engine, "engine_disposed", connections.dispose)
    return engine


class _Connections:
    """What SQLAlchemy has opened."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._new: set[asyncpg.Connection[Any]] = set()
        """Those that it asks about their types still; when that is cancelled, it forgets them."""
        self._disposed = False

    async def open(self) -> "asyncpg.Connection[Any]":
        connection = await asyncpg.connect(self._url, timeout=CONNECT_SECONDS)
        self._new.add(connection)
        return connection

    def check_out(self, _: Any, entry: ConnectionPoolEntry, __: Any) -> None:
        self._new.discard(entry.driver_connection)

    def check_in(self, _: Any, entry: ConnectionPoolEntry) -> None:
        if self._disposed:  # it would keep it in a pool that nobody has any more
            entry.invalidate()

    def dispose(self, _: Engine) -> None:
        self._disposed = True
        for connection in self._new:
            connection.terminate()
