import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from typing import Any

import asyncpg
import orjson
import pytest
from tandem_contract.config import Tools
from tandem_orchestrator.tools.build import build
from tandem_orchestrator.tools.toolbox import Toolbox, ToolCall

from tests.sockets.running import until
from tests.sockets.tools.service import Service

SCHEMA = """
CREATE TABLE orders (id integer PRIMARY KEY, customer text NOT NULL, total numeric, at timestamptz, raw bytea);
INSERT INTO orders VALUES (1, 'Ada', 19.99, '2026-11-21 09:00+00', '\\x00ff'), (2, 'Bob', NULL, NULL, NULL);
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE SCHEMA other; CREATE TABLE other.moods (mood mood);
"""


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with Service() as running:
        yield running


class Box:
    """A toolbox under watch, as the orchestrator has one."""

    def __init__(self, **settings: Any) -> None:
        self.toolbox: Toolbox = build(Tools.model_validate({"enabled": [], **settings}))
        self._watching = asyncio.create_task(self.toolbox.watch())

    async def ready(self) -> "Box":
        await until(lambda: not self.toolbox.degraded())
        return self

    async def down(self) -> str:
        """What keeps its tools away, when that is known."""
        await until(lambda: self.toolbox.degraded() and "not reached" not in self.toolbox.degraded()[0])
        return self.toolbox.degraded()[0]

    async def call(self, name: str, **arguments: Any) -> tuple[str, Any]:
        """Status and content of a call, the content as JSON where it is that, or what was found."""
        call = ToolCall("id", name, orjson.dumps(arguments).decode())
        result = await self.toolbox.run(call, self.toolbox.names, 60.0)
        if result.passages is not None:
            return result.status, [passage.result for passage in result.passages]
        try:
            return result.status, orjson.loads(result.content)
        except orjson.JSONDecodeError:
            return result.status, result.content

    async def error(self, name: str, **arguments: Any) -> str:
        """What a call that fails tells the model."""
        status, content = await self.call(name, **arguments)
        assert status == "error", (status, content)
        return str(content["error"])

    async def close(self) -> None:
        self._watching.cancel()
        await asyncio.wait([self._watching])
        await self.toolbox.close()


@pytest.fixture
async def tools() -> AsyncIterator[Callable[..., Awaitable[Box]]]:
    boxes: list[Box] = []

    async def made(**settings: Any) -> Box:
        boxes.append(Box(**settings))
        return boxes[-1]

    yield made
    for box in boxes:
        await box.close()


@pytest.fixture
async def admin(postgres):
    connection = await asyncpg.connect(await postgres.create())
    await connection.execute(SCHEMA)
    yield connection
    await connection.close()


@pytest.fixture
async def reader(admin, postgres):
    """A URL whose role may read `orders`, and a function that runs SQL with its name in place of `{reader}`."""
    database = await admin.fetchval("SELECT current_database()")
    role = database.replace("test_", "reader_")

    async def run(sql):
        await admin.execute(sql.format(reader=role))

    await run("CREATE ROLE {reader} LOGIN PASSWORD 'pw'")
    await run("GRANT SELECT ON orders TO {reader}; GRANT USAGE ON SCHEMA other TO {reader}")
    await run("GRANT SELECT ON other.moods TO {reader}")
    yield f"postgresql://{role}:pw@127.0.0.1:{postgres.port}/{database}", run
    await run("DROP OWNED BY {reader}; DROP ROLE {reader}")


@pytest.fixture
def lite(tmp_path):
    path = tmp_path / "shop data.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, raw BLOB);"
            "INSERT INTO orders VALUES (1, 'Ada', x'00ff'), (2, 'Bob', NULL);"
            "CREATE VIEW names AS SELECT customer FROM orders;"
        )
    return f"sqlite:///{path}"


@pytest.fixture
def box_for(tools):
    async def box(url, **settings):
        return await (await tools(timeoutSeconds=60, queryDatabase={"url": url, **settings})).ready()

    return box
