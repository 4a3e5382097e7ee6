"""The program in which the SQL of query_database runs: a process that can be killed, and whose memory is bounded.

Its standard input is a line of JSON with the database and its bounds (`QuerySettings`), then one for each thing to do:
`{"query": SQL}`, or `{}` to look at the database. Its standard output is `KIND LENGTH` for each, in a line, then so
many bytes: the `table` as JSON, what was `found`, or the text of an `error`. It ends with its standard input.
"""

import asyncio
import os
import resource
import signal
import sys
from typing import Any, Final

import orjson

from tandem_orchestrator.tools.table import Bounds, Database, QueryError

MEMORY: Final = 64 * 1024 * 1024  # bytes for the program itself and what any query needs
MEMORY_FACTOR: Final = 16  # for what a query may give: as the driver reads it, as text, as a row, as the answer
LATE_SECONDS: Final = 0.5  # what does not end itself is ended so much later
OPEN_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 10.0
NICENESS: Final = 10  # whatever a query computes, requests go first
MAX_MESSAGE: Final = 1000  # characters of a database's error
OUT_OF_MEMORY: Final = 70


def main() -> None:
    """Serve until its standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all, and the parent decides
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which the kernel ends it with, whatever it is doing
    os.nice(NICENESS)
    with open(0, "rb", buffering=0, closefd=False) as unbuffered:  # which leaves the rest unread
        settings = orjson.loads(unbuffered.readline())
    try:
        asyncio.run(_serve(_database(settings), settings["seconds"], settings["bytes"]))
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


def _database(settings: dict[str, Any]) -> Database:
    url, bounds = settings["url"], Bounds(settings["rows"], settings["bytes"], settings["seconds"])
    if url.startswith("sqlite:"):
        from tandem_orchestrator.tools.sqlite import Sqlite  # noqa: PLC0415 # only what is needed is loaded

        return Sqlite(url.removeprefix("sqlite:///"), bounds)
    from tandem_orchestrator.tools.postgres import Postgres  # noqa: PLC0415 # as above

    return Postgres(url, settings["schemas"], bounds)


async def _serve(database: Database, seconds: float, max_bytes: int) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_failed)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    limit = MEMORY + MEMORY_FACTOR * max_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    coming = asyncio.ensure_future(reader.readline())
    while line := await coming:
        coming = asyncio.ensure_future(reader.readline())
        answering = asyncio.ensure_future(_answer(database, orjson.loads(line), seconds))
        await asyncio.wait({coming, answering}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():  # nobody waits for it any more
            answering.cancel()
            await asyncio.wait([answering])
            return
        kind, body = answering.result()
        sys.stdout.buffer.write(b"%s %d\n%s" % (kind, len(body), body))
        sys.stdout.buffer.flush()


async def _answer(database: Database, asked: dict[str, str], seconds: float) -> tuple[bytes, bytes]:
    try:
        _end_in(OPEN_SECONDS + LATE_SECONDS)
        await database.open()
        if "query" in asked:
            _end_in(seconds + LATE_SECONDS)
            return b"table", (await database.query(asked["query"])).json()
        _end_in(LOOK_SECONDS + LATE_SECONDS)
        return b"found", orjson.dumps(await database.look())
    except QueryError as error:
        return b"error", str(error)[:MAX_MESSAGE].encode(errors="replace")
    finally:
        _end_in(0)


def _end_in(seconds: float) -> None:
    """End the process in so many seconds, unless called again before; never for 0."""
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _failed(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if isinstance(context.get("exception"), MemoryError):
        os._exit(OUT_OF_MEMORY)


if __name__ == "__main__":
    main()
