"""What the commands do; each returns what to print on standard output."""

import argparse
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from tandem_orchestrator import database_command
from tandem_orchestrator.batches.desk import MIGRATION
from tandem_orchestrator.config import Source
from tandem_orchestrator.database_command import Failed
from tandem_orchestrator.errors import GatewayError
from tandem_orchestrator.files.filing import Filing
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.statement import Row, Step
from tandem_orchestrator.tenant_commands import statements
from tandem_orchestrator.tenant_commands.export import files, lines
from tandem_orchestrator.tenant_commands.purge import purge as purge_all

PAGE: Final = 1000
NUMBERS: Final = 5
COLUMNS: Final = ("tenant", "responses", "bytes", "conversations", "files", "file_bytes", "vector_stores", "batches")


def run(options: argparse.Namespace) -> int:
    """Run the command that `options` names; 1 when it fails. Raises `ConfigError`."""
    return database_command.run(options, ACTIONS)


async def list_(options: argparse.Namespace, database: Database) -> str:
    """List all tenants that keep something."""
    found = [row async for row in _tenants(database)] if await _is_open(database) else []
    if options.output == "json":
        documents = [dict(zip(COLUMNS, row, strict=True)) for row in found]
        return orjson.dumps(documents, option=orjson.OPT_INDENT_2).decode()
    headings = tuple(name.upper() for name in COLUMNS)
    return database_command.table(headings, *(tuple(map(str, row)) for row in found))


async def export(options: argparse.Namespace, database: Database) -> str:
    """Write all that a tenant keeps."""
    await _numbers(database, options.tenant)
    number = 0
    with _target(options.output) as file:
        async for line in lines(database, options.tenant):
            file.write(line)
            number += 1
    told = [f"Wrote {number} documents of {options.tenant!r} to {options.output}."] if options.output else []
    if options.files is not None:
        number = await _write_files(options, database)
        told += [f"Wrote {number} files into {options.files}."] if options.output else []
    return " ".join(told)


async def purge(options: argparse.Namespace, database: Database) -> str:
    """Delete all that a tenant keeps."""
    tenant = options.tenant
    kept = "{} responses, {} conversations, {} files, {} vector stores and {} batches".format(
        *await _numbers(database, tenant)
    )
    if not (options.yes or _confirmed(f"Delete {kept} of {tenant!r}")):
        raise Failed("nothing was deleted")
    async with _filing(options, database) as filing:
        gone, left = await purge_all(database, tenant, filing.files.blobs)
    kept = f"API keys are not touched: see `tandem-orchestrator keys list --tenant {tenant}`."
    told = (
        f"Deleted of {tenant!r}: {gone['responses']} responses ({gone['runs']} of them in the making, {gone['events']} "
        f"rows of events), {gone['conversations']} conversations with {gone['items']} items, {gone['files']} files, "
        f"{gone['uploads']} uploads, {gone['stores']} vector stores, {gone['batches']} batches. Its {kept}"
    )
    if gone["unreached"]:
        told += "\nBytes of files cannot be reached from here; a process that serves sweeps them within three hours."
    if left:
        raise Failed(f"{told}\nMore is added all the time: revoke its keys, and purge it again")
    return told


ACTIONS: Final = {action.__name__: action for action in (list_, export, purge)}


async def _is_open(database: Database) -> bool:
    """Return whether there is a database with the tables; none is made for a question."""
    if not database.exists:
        return False
    await database.require(MIGRATION)
    return True


async def _tenants(database: Database) -> AsyncIterator[Row]:
    after = ""
    while page := await database.read(Step(statements.TENANTS, ({"after": after, "most": PAGE},))):
        for row in page:
            yield row
        after = page[-1][0]


async def _numbers(database: Database, tenant: str) -> list[int]:
    """Return how many responses, conversations, files, vector stores and batches a tenant has.

    Raises `Failed` for one that keeps nothing.
    """
    if await _is_open(database):
        (numbers,) = await database.read(Step(statements.LEFT, ({"tenant": tenant},)))
        if any(numbers):
            return [int(number) for number in numbers[:NUMBERS]]
    raise Failed(f"no tenant {tenant!r} keeps anything in the database")


@asynccontextmanager
async def _filing(options: argparse.Namespace, database: Database) -> AsyncIterator[Filing]:
    filing = Filing(Source(options.config).load("database"), database)
    try:
        yield filing
    finally:
        await filing.storage.close()


async def _write_files(options: argparse.Namespace, database: Database) -> int:
    """Write the contents of a tenant's files; return how many. Raises `Failed` with those that cannot be read."""
    number, failed = 0, []
    folder = _folder(options.files)
    async with _filing(options, database) as filing:
        async for file in files(database, options.tenant):
            try:
                async with aclosing(filing.files.read_file(file)) as chunks:
                    with _target(folder / file.id) as target:
                        async for chunk in chunks:
                            target.write(chunk)
                number += 1
            except GatewayError as error:
                failed.append(f"{file.id}: {error}")
    if failed:
        raise Failed("\n".join(failed))
    return number


def _folder(path: Path) -> Path:
    """Return a folder, made where it is missing."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}") from None
    return path


@contextmanager
def _target(path: Path | None) -> Iterator[BinaryIO]:
    """Open what is written to; a file comes about when it is whole, and is for its owner alone."""
    if path is None:
        yield sys.stdout.buffer
        return
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
            yield file
        unfinished.replace(path)
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}") from None
    finally:
        unfinished.unlink(missing_ok=True)


def _confirmed(question: str) -> bool:
    """Return whether a person at the terminal says yes. Raises `Failed` where nobody can be asked."""
    if not sys.stdin.isatty():
        raise Failed("purge deletes for good, and there is no terminal to ask at; say --yes")
    print(f"{question} for good? [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
    return sys.stdin.readline().strip().lower() in ("y", "yes")
