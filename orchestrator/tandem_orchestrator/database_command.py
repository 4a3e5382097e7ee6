"""Runs a command that a person gives straight to the database of the configuration; the service need not run."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping

import structlog

from tandem_orchestrator.config import Source
from tandem_orchestrator.errors import GatewayError
from tandem_orchestrator.store.database import Database

Action = Callable[[argparse.Namespace, Database], Awaitable[str]]
"""Does what was asked, and returns what to print; "" for nothing."""


class Failed(Exception):
    """What was asked cannot be done; the message says why."""


def run(options: argparse.Namespace, actions: Mapping[str, Action]) -> int:
    """Run the action that `options` names; 1 when it fails. Raises `ConfigError`."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),  # failures are printed anyway
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    database = Database(Source(options.config).load("database").database)
    try:
        if text := asyncio.run(_act(actions[options.action], options, database)):
            print(text)  # noqa: T201
    except (GatewayError, Failed) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


async def _act(action: Action, options: argparse.Namespace, database: Database) -> str:
    try:
        return await action(options, database)
    finally:
        await database.close()


def table(*rows: tuple[str, ...]) -> str:
    """Return rows for people, the first one being the headings."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
