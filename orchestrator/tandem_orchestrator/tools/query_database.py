"""query_database: read-only SQL on PostgreSQL or SQLite."""

import asyncio
from typing import Any

from tandem_contract.config import QueryDatabase as QueryDatabaseSettings
from tandem_contract.config.tools import DATABASES

from tandem_orchestrator.secret_file import read_secret
from tandem_orchestrator.tools.source import Offer, SourceError
from tandem_orchestrator.tools.table import Database
from tandem_orchestrator.tools.tool import ToolError

CHECK_SECONDS = 60.0
MAX_SQL = 20_000  # characters
MAX_DESCRIBED = 16_000  # characters about the tables


class DatabaseSource:
    """Offers `query_database` while its database is there and its role can only read."""

    name = "query_database"

    def __init__(self, settings: QueryDatabaseSettings) -> None:
        self._settings = settings

    async def follow(self, offer: Offer) -> None:
        """Offers the tool until the database fails. Raises `SourceError`."""
        database = _opened(database_url(self._settings), self._settings)
        try:
            while True:
                offer([QueryDatabase(database, self._described(await database.check()))])
                await asyncio.sleep(CHECK_SECONDS)
        finally:
            await database.close()

    def _described(self, tables: str) -> str:
        shown = tables if self._settings.describe_tables else ""
        if len(shown) > MAX_DESCRIBED:
            shown = shown[:MAX_DESCRIBED] + " … (there are more tables)"
        return "\n".join(part for part in (self._settings.description, shown) if part)


class QueryDatabase:
    """Runs one query; the result is `{"columns", "rows", "truncated"}`."""

    name = "query_database"

    def __init__(self, database: Database, described: str) -> None:
        self._database = database
        self.description = (
            f"Run one read-only SQL query ({database.dialect}) and get its columns and rows. "
            f"Ask only for the columns and rows that are needed.\n{described}"
        ).strip()
        self.parameters: dict[str, Any] = {
            "type": "object",
            "properties": {
                "query": {
                    "type": "string",
                    "description": f"One {database.dialect} query, e.g. SELECT …",
                    "minLength": 1,
                    "maxLength": MAX_SQL,
                }
            },
            "required": ["query"],
        }

    async def call(self, arguments: dict[str, Any]) -> str:
        """Takes `query`."""
        sql = arguments["query"].strip().rstrip(";")
        if not sql:
            raise ToolError("the query is empty")
        return (await self._database.query(sql)).json()


def database_url(settings: QueryDatabaseSettings) -> str:
    """Where the database is. Raises `SecretError`, and `SourceError` for a kind of database that is not known."""
    if settings.url_from is None:
        return settings.url.get_secret_value() if settings.url else ""
    url = read_secret(settings.url_from)
    if not url.startswith(DATABASES):
        raise SourceError(f"the URL in {settings.url_from.file} must begin with postgresql:// or sqlite:///")
    return url


def _opened(url: str, settings: QueryDatabaseSettings) -> Database:
    if url.startswith("sqlite:"):
        from tandem_orchestrator.tools.sqlite import Sqlite  # noqa: PLC0415 # only what is configured is loaded

        return Sqlite(url.removeprefix("sqlite:///"), settings)
    from tandem_orchestrator.tools.postgres import Postgres  # noqa: PLC0415 # as above

    return Postgres(url, settings)
