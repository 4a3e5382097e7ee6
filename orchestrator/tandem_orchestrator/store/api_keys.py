"""API keys in the database. Of the key itself only its hash is there."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.tables import KEYS, KEYS_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """A row; moments are in UTC, limits that are `None` do not limit."""

    id: str
    hash: str = field(repr=False)
    """SHA-256 in hexadecimal digits."""
    prefix: str
    """The key's first characters, by which people tell keys apart."""
    name: str | None
    tenant: str
    models: list[str] | None
    tools: list[str] | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None
    tokens_per_day: int | None
    tokens_per_month: int | None
    created: datetime
    expires: datetime | None
    revoked: datetime | None = None
    version: int = 0


class KeyStore:
    """Every method raises `DatabaseDown`."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def create(self, key: StoredKey) -> None:
        """Adds a key."""
        async with self._change() as (connection, version):
            await connection.execute(KEYS.insert().values({**asdict(key), "version": version}))

    async def get(self, key_id: str) -> StoredKey | None:
        """The key with an id, be it revoked."""
        async with self.database.transaction() as connection:
            row = (await connection.execute(select(KEYS).where(KEYS.c.id == key_id))).first()
            return None if row is None else _key(row)

    async def page(self, tenant: str | None = None, after: str = "", limit: int = 100) -> list[StoredKey]:
        """Keys, of one tenant where it is named, in the order of their making; those after the id `after`."""
        wanted = select(KEYS).where(KEYS.c.id > after).order_by(KEYS.c.id).limit(limit)
        if tenant is not None:
            wanted = wanted.where(KEYS.c.tenant == tenant)
        async with self.database.transaction() as connection:
            return [_key(row) for row in await connection.execute(wanted)]

    async def update(self, key_id: str, fields: Mapping[str, Any]) -> StoredKey | None:
        """Sets columns of a key; `None` if there is none with that id."""
        async with self._change() as (connection, version):
            change = update(KEYS).where(KEYS.c.id == key_id).values({**fields, "version": version}).returning(*KEYS.c)
            row = (await connection.execute(change)).first()
            return None if row is None else _key(row)

    async def revoke(self, key_id: str, now: datetime) -> StoredKey | None:
        """Revokes a key for good; one that is revoked already stays so since then."""
        return await self.update(key_id, {"revoked": func.coalesce(KEYS.c.revoked, now)})

    async def changed_since(self, version: int, limit: int) -> tuple[int, list[StoredKey]]:
        """The present version, and the first `limit` keys that changed after `version`, in the order of that."""
        changed = select(KEYS).where(KEYS.c.version > version).order_by(KEYS.c.version).limit(limit)
        async with self.database.transaction() as connection:
            present = (await connection.execute(select(KEYS_VERSION.c.version))).scalar_one()
            if present == version:
                return present, []
            return present, [_key(row) for row in await connection.execute(changed)]

    @asynccontextmanager
    async def _change(self) -> AsyncIterator[tuple[AsyncConnection, int]]:
        raised = update(KEYS_VERSION).values(version=KEYS_VERSION.c.version + 1).returning(KEYS_VERSION.c.version)
        async with self.database.transaction() as connection:
            yield connection, (await connection.execute(raised)).scalar_one()


def _key(row: Row[Any]) -> StoredKey:
    return StoredKey(**row._mapping)  # noqa: SLF001 # public, underlined only to leave names to columns
