"""The database's keys in memory, so that no request waits for the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from tandem_contract.config import KeyLimits

from tandem_orchestrator.auth.api_key import ApiKey
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.auth.stored_key import StoredKey
from tandem_orchestrator.errors import DatabaseDown
from tandem_orchestrator.store.database import Database

if TYPE_CHECKING:
    from tandem_orchestrator.auth.key_rows import KeyRows

PAGE: Final = 500  # rows at once: some milliseconds in which requests wait


class StoredKeys:
    """A copy that `refresh` brings up to date; it stays as it is while the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._refreshing = asyncio.Lock()
        self._last: StoredKey | None = None
        """The one that changed last, as it was read."""
        self.keys: dict[bytes, ApiKey] = {}
        """Those that are not revoked, by digest."""
        self.read = False
        """Whether the database has ever been read."""
        self.used = False
        """Whether there has ever been a key in it. One that was revoked must not leave the door open behind it."""
        self.complete = False
        """False as long as the database cannot be read: it may hold keys that are not here."""

    async def refresh(self) -> bool:
        """Take over what changed, and say whether anything did. Raises `DatabaseDown`."""
        async with self._refreshing:
            try:
                return await self._read()
            except DatabaseDown:
                self.complete = False
                raise

    async def _read(self) -> bool:
        keys, last = (self.keys, self._last) if self.complete else ({}, None)
        changed, more = False, True
        while more:
            async with key_rows(self._database) as stored:
                present, rows = await stored.since(last.version if last else 0, PAGE)
            more = len(rows) == PAGE
            if last is not None and (not rows or rows.pop(0) != last):
                keys, last, more = {}, None, True  # it changed again, or another server took over, without its change
                continue
            for row in rows:
                digest = bytes.fromhex(row.hash)
                if row.revoked is None:
                    keys[digest] = _key(digest, row)
                else:
                    keys.pop(digest, None)
                changed, last = True, row
        changed = changed or keys.keys() != self.keys.keys()
        self.keys, self._last, self.complete = keys, last, True
        self.read, self.used = True, self.used or present > 0
        return changed


@asynccontextmanager
async def key_rows(database: Database) -> AsyncIterator["KeyRows"]:
    """Open a transaction on the keys in the database. Raises `DatabaseDown`."""
    async with database.transaction() as connection:
        from tandem_orchestrator.auth.key_rows import KeyRows  # noqa: PLC0415 # as `store.database` says

        yield KeyRows(connection)


def _key(digest: bytes, row: StoredKey) -> ApiKey:
    principal = Principal(
        row.id,
        row.tenant,
        KeyLimits.model_construct(**{name: getattr(row, name) for name in KeyLimits.model_fields}),
        frozenset(row.models) if row.models is not None else None,
        frozenset(row.tools) if row.tools is not None else None,
    )
    return ApiKey(digest, principal, row.expires.timestamp() if row.expires else None)
