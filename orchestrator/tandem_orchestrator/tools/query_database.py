"""query_database: read-only SQL on PostgreSQL or SQLite."""

import asyncio
from typing import Any, Final

import orjson
import structlog
from tandem_contract.config import QueryDatabase as QueryDatabaseSettings
from tandem_contract.config.tools import DATABASES

from tandem_orchestrator.secret_file import read_secret
from tandem_orchestrator.tools.query_processes import Processes, QuerySettings, WorkerError
from tandem_orchestrator.tools.source import Offer, SourceError
from tandem_orchestrator.tools.table import Found
from tandem_orchestrator.tools.tool import ToolError

CHECK_SECONDS: Final = 60.0
MAX_SQL: Final = 20_000  # characters

log = structlog.get_logger()


class DatabaseSource:
    """Offers `query_database` while its database is there and its role can only read."""

    name = "query_database"

    def __init__(self, settings: QueryDatabaseSettings) -> None:
        self._settings = settings
        self._tolerated: list[str] = []

    async def follow(self, offer: Offer) -> None:
        """Offer the tool until the database fails. Raises `SourceError`."""
        url, settings = database_url(self._settings), self._settings
        bounds = (settings.max_rows, settings.max_bytes, settings.timeout_seconds)
        processes = Processes(QuerySettings(url, settings.schemas, *bounds), settings.max_connections)
        try:
            while True:
                found = await _look(processes)
                if found.tolerated != self._tolerated:
                    log.warning("the role may do more than read tables", source=self.name, it=found.tolerated)
                    self._tolerated = found.tolerated
                offer([QueryDatabase(processes, _dialect(url), self._described(found.tables))])
                await asyncio.sleep(CHECK_SECONDS)
        finally:
            await processes.close()

    def _described(self, tables: str) -> str:
        return "\n".join(filter(None, (self._settings.description, tables if self._settings.describe_tables else "")))


class QueryDatabase:
    """Runs one query; the result is `{"columns", "rows", "truncated"}`."""

    name = "query_database"

    def __init__(self, processes: Processes, dialect: str, described: str) -> None:
        self._processes = processes
        self.description = (
            f"Run one read-only SQL query ({dialect}) and get its columns and rows. "
            f"Ask only for the columns and rows that are needed.\n{described}"
        ).strip()
        self.parameters: dict[str, Any] = {
            "type": "object",
            "properties": {
                "query": {
                    "type": "string",
                    "description": f"One {dialect} query, e.g. SELECT …",
                    "minLength": 1,
                    "maxLength": MAX_SQL,
                }
            },
            "required": ["query"],
        }

    async def call(self, arguments: dict[str, Any]) -> str:
        """Run `query`."""
        sql = arguments["query"].strip().rstrip(";")
        if not sql:
            raise ToolError("the query is empty")
        try:
            return (await self._processes.ask({"query": sql})).decode()
        except WorkerError as error:
            raise ToolError(str(error)) from None


def database_url(settings: QueryDatabaseSettings) -> str:
    """Return the database's URL. Raises `SecretError`, and `SourceError` for an unknown kind of database."""
    if settings.url_from is None:
        return settings.url.get_secret_value() if settings.url else ""
    url = read_secret(settings.url_from)
    if not url.startswith(DATABASES):
        raise SourceError(f"the URL in {settings.url_from.file} must begin with postgresql:// or sqlite:///")
    return url


def _dialect(url: str) -> str:
    return "SQLite" if url.startswith("sqlite:") else "PostgreSQL"


async def _look(processes: Processes) -> Found:
    try:
        found = Found(**orjson.loads(await processes.ask({})))
    except WorkerError as error:
        raise SourceError(str(error)) from None
    if found.refused:
        raise SourceError(f"the role must only be able to read, but it {', '.join(found.refused)}")
    return found
