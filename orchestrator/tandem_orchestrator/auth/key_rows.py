"""The rows of API keys, read and written within a transaction. Imported when a database is first used, as it is SQL."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite understands the same words
from sqlalchemy.ext.asyncio import AsyncConnection

from tandem_orchestrator.auth.stored_key import StoredKey
from tandem_orchestrator.store.tables import KEYS, KEYS_VERSION


class KeyRows:
    """Keys as one transaction sees them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, key: StoredKey) -> None:
        """Add a key."""
        await self._connection.execute(insert(KEYS).values({**asdict(key), "version": await self._next_version()}))

    async def get(self, key_id: str) -> StoredKey | None:
        """Return the key with an id, be it revoked."""
        row = (await self._connection.execute(select(KEYS).where(KEYS.c.id == key_id))).first()
        return None if row is None else _key(row)

    async def page(self, tenant: str | None = None, after: str = "", limit: int = 100) -> list[StoredKey]:
        """Return keys, of one tenant where it is named, in the order of their making; those after the id `after`."""
        wanted = select(KEYS).where(KEYS.c.id > after).order_by(KEYS.c.id).limit(limit)
        if tenant is not None:
            wanted = wanted.where(KEYS.c.tenant == tenant)
        return [_key(row) for row in await self._connection.execute(wanted)]

    async def change(self, key_id: str, columns: Mapping[str, Any]) -> StoredKey | None:
        """Set columns of a key and return it; `None` if there is none with that id."""
        values = {**columns, "version": await self._next_version()}
        change = update(KEYS).where(KEYS.c.id == key_id).values(values).returning(*KEYS.c)
        row = (await self._connection.execute(change)).first()
        return None if row is None else _key(row)

    async def revoke(self, key_id: str, now: datetime) -> StoredKey | None:
        """Revoke a key for good; one that is revoked already stays so since then."""
        return await self.change(key_id, {"revoked": func.coalesce(KEYS.c.revoked, now)})

    async def since(self, version: int, limit: int) -> tuple[int, list[StoredKey]]:
        """Return the present version, and the first `limit` keys that changed at `version` or later, in that order."""
        present = (await self._connection.execute(select(KEYS_VERSION.c.version))).scalar_one()
        changed = select(KEYS).where(KEYS.c.version >= version).order_by(KEYS.c.version).limit(limit)
        return present, [_key(row) for row in await self._connection.execute(changed)]

    async def _next_version(self) -> int:
        raised = update(KEYS_VERSION).values(version=KEYS_VERSION.c.version + 1).returning(KEYS_VERSION.c.version)
        version: int = (await self._connection.execute(raised)).scalar_one()
        return version


def _key(row: Row[Any]) -> StoredKey:
    return StoredKey(**row._mapping)  # noqa: SLF001 # public, underlined only to leave names to columns
