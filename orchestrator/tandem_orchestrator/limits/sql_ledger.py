"""The tokens that keys have used, kept for budgets of a day or a month."""

from calendar import monthrange
from collections.abc import Mapping
from datetime import date

from tandem_orchestrator.store.database import Database


class Ledger:
    """Sums of tokens by key and day (UTC); replicas on one database add to the same sums."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def exists(self) -> bool:
        """Whether there is a database already; if not, the first tokens make it."""
        return self._database.exists

    async def load(self, period: str) -> dict[str, int]:
        """Return tokens by key in a day, such as "2026-11-21", or a month, such as "2026-11".

        Raises `DatabaseDown`. A database that does not exist yet holds nothing, and is not made.
        """
        if not self._database.exists:
            return {}
        async with self._database.transaction() as connection:
            from tandem_orchestrator.limits import token_rows  # noqa: PLC0415 # as `store.database` says

            return await token_rows.used(connection, *_days(period))

    async def add(self, day: str, tokens: Mapping[str, int]) -> dict[str, int]:
        """Add the tokens that keys used on `day`, such as "2026-11-21"; all or none. Raises `DatabaseDown`.

        Returns the day's tokens of these keys.
        """
        if not tokens:
            return {}
        async with self._database.transaction() as connection:
            from tandem_orchestrator.limits import token_rows  # noqa: PLC0415 # as `store.database` says

            return await token_rows.add(connection, date.fromisoformat(day), tokens)


def _days(period: str) -> tuple[date, date]:
    """Return the first and the last day of a day or a month."""
    if len(period) == len("2026-11"):
        first = date.fromisoformat(f"{period}-01")
        return first, first.replace(day=monthrange(first.year, first.month)[1])
    return date.fromisoformat(period), date.fromisoformat(period)
