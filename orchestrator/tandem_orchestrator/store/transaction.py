"""All that is asked of the database, each within a transaction."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert  # SQLite understands the same words
from sqlalchemy.ext.asyncio import AsyncConnection

from tandem_orchestrator.store.stored_key import StoredKey
from tandem_orchestrator.store.tables import KEYS, KEYS_VERSION, TOKENS


class Transaction:
    """What can be read and written; `Database.transaction` begins and ends it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    async def add_key(self, key: StoredKey) -> None:
        """Adds a key."""
        await self.connection.execute(insert(KEYS).values({**asdict(key), "version": await self._next_version()}))

    async def key(self, key_id: str) -> StoredKey | None:
        """The key with an id, be it revoked."""
        row = (await self.connection.execute(select(KEYS).where(KEYS.c.id == key_id))).first()
        return None if row is None else _key(row)

    async def keys(self, tenant: str | None = None, after: str = "", limit: int = 100) -> list[StoredKey]:
        """Keys, of one tenant where it is named, in the order of their making; those after the id `after`."""
        wanted = select(KEYS).where(KEYS.c.id > after).order_by(KEYS.c.id).limit(limit)
        if tenant is not None:
            wanted = wanted.where(KEYS.c.tenant == tenant)
        return [_key(row) for row in await self.connection.execute(wanted)]

    async def change_key(self, key_id: str, columns: Mapping[str, Any]) -> StoredKey | None:
        """Sets columns of a key; `None` if there is none with that id."""
        values = {**columns, "version": await self._next_version()}
        change = update(KEYS).where(KEYS.c.id == key_id).values(values).returning(*KEYS.c)
        row = (await self.connection.execute(change)).first()
        return None if row is None else _key(row)

    async def revoke_key(self, key_id: str, now: datetime) -> StoredKey | None:
        """Revokes a key for good; one that is revoked already stays so since then."""
        return await self.change_key(key_id, {"revoked": func.coalesce(KEYS.c.revoked, now)})

    async def keys_since(self, version: int, limit: int) -> tuple[int, list[StoredKey]]:
        """The present version, and the first `limit` keys that changed after `version`, in the order of that."""
        present = (await self.connection.execute(select(KEYS_VERSION.c.version))).scalar_one()
        if present == version:
            return present, []
        changed = select(KEYS).where(KEYS.c.version > version).order_by(KEYS.c.version).limit(limit)
        return present, [_key(row) for row in await self.connection.execute(changed)]

    async def tokens(self, first: date, last: date) -> dict[str, int]:
        """Tokens by key from the first day to the last."""
        used = select(TOKENS.c.key_id, func.sum(TOKENS.c.tokens)).where(TOKENS.c.day.between(first, last))
        rows = await self.connection.execute(used.group_by(TOKENS.c.key_id))
        return {key_id: int(tokens) for key_id, tokens in rows}

    async def add_tokens(self, day: date, tokens: Mapping[str, int]) -> dict[str, int]:
        """Adds the tokens that keys used on a day, and returns the day's tokens of these keys."""
        inserted = insert(TOKENS)
        added = inserted.on_conflict_do_update(
            index_elements=[TOKENS.c.day, TOKENS.c.key_id], set_={"tokens": TOKENS.c.tokens + inserted.excluded.tokens}
        ).returning(TOKENS.c.key_id, TOKENS.c.tokens)
        # In one order everywhere, so that replicas that add at once never wait for each other in a circle.
        rows = [{"day": day, "key_id": key_id, "tokens": used} for key_id, used in sorted(tokens.items())]
        return {key_id: stands for key_id, stands in await self.connection.execute(added, rows)}  # noqa: C416 # rows

    async def _next_version(self) -> int:
        raised = update(KEYS_VERSION).values(version=KEYS_VERSION.c.version + 1).returning(KEYS_VERSION.c.version)
        version: int = (await self.connection.execute(raised)).scalar_one()
        return version


def _key(row: Row[Any]) -> StoredKey:
    return StoredKey(**row._mapping)  # noqa: SLF001 # public, underlined only to leave names to columns
