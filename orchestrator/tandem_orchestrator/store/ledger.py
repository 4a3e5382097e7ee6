"""The tokens that keys have used, kept for budgets of a day or a month."""

from calendar import monthrange
from collections.abc import Mapping
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert  # SQLite understands the same words

from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.tables import TOKENS


class Ledger:
    """Sums of tokens by key and day (UTC); replicas on one database add to the same sums."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, period: str) -> dict[str, int]:
        """Tokens by key in a day, such as "2026-11-21", or a month, such as "2026-11".

        Raises `DatabaseDown`. A database that does not exist yet holds nothing, and is not made.
        """
        if not self._database.exists:
            return {}
        used = select(TOKENS.c.key_id, func.sum(TOKENS.c.tokens)).where(TOKENS.c.day.between(*_days(period)))
        async with self._database.transaction() as connection:
            rows = await connection.execute(used.group_by(TOKENS.c.key_id))
            return {key_id: int(tokens) for key_id, tokens in rows}

    async def add(self, day: str, tokens: Mapping[str, int]) -> None:
        """Adds the tokens that keys used on `day`, such as "2026-11-21"; all or none. Raises `DatabaseDown`."""
        if not tokens:
            return
        added = insert(TOKENS)
        added = added.on_conflict_do_update(
            index_elements=[TOKENS.c.day, TOKENS.c.key_id], set_={"tokens": TOKENS.c.tokens + added.excluded.tokens}
        )
        # In one order everywhere, so that replicas that add at once never wait for each other in a circle.
        which = date.fromisoformat(day)
        rows = [{"day": which, "key_id": key_id, "tokens": used} for key_id, used in sorted(tokens.items())]
        async with self._database.transaction() as connection:
            await connection.execute(added, rows)


def _days(period: str) -> tuple[date, date]:
    """The first and the last day of a day or a month."""
    if len(period) == len("2026-11"):
        first = date.fromisoformat(f"{period}-01")
        return first, first.replace(day=monthrange(first.year, first.month)[1])
    return date.fromisoformat(period), date.fromisoformat(period)
