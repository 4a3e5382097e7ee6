"""The rows of tokens by key and day, read and written within a transaction. Imported when a database is first used."""

from collections.abc import Mapping
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert  # SQLite understands the same words
from sqlalchemy.ext.asyncio import AsyncConnection

from tandem_orchestrator.store.tables import TOKENS


async def used(connection: AsyncConnection, first: date, last: date) -> dict[str, int]:
    """Return tokens by key from the first day to the last."""
    used = select(TOKENS.c.key_id, func.sum(TOKENS.c.tokens)).where(TOKENS.c.day.between(first, last))
    rows = await connection.execute(used.group_by(TOKENS.c.key_id))
    return {key_id: int(tokens) for key_id, tokens in rows}


async def add(connection: AsyncConnection, day: date, tokens: Mapping[str, int]) -> dict[str, int]:
    """Add the tokens that keys used on a day, and return the day's tokens of these keys."""
    inserted = insert(TOKENS)
    added = inserted.on_conflict_do_update(
        index_elements=[TOKENS.c.day, TOKENS.c.key_id], set_={"tokens": TOKENS.c.tokens + inserted.excluded.tokens}
    ).returning(TOKENS.c.key_id, TOKENS.c.tokens)
    # In one order everywhere, so that replicas that add at once never wait for each other in a circle.
    rows = [{"day": day, "key_id": key_id, "tokens": used} for key_id, used in sorted(tokens.items())]
    return {key_id: stands for key_id, stands in await connection.execute(added, rows)}  # noqa: C416 # rows
