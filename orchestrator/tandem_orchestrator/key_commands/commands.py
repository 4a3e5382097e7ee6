"""What the commands do; each returns what to print on standard output."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final

import orjson
from pydantic import BaseModel, ValidationError

from tandem_orchestrator import database_command
from tandem_orchestrator.api.keys import IssuedKey, ShownKey
from tandem_orchestrator.auth.issuing import issue
from tandem_orchestrator.auth.stored_keys import key_rows
from tandem_orchestrator.auth.terms import NewTerms
from tandem_orchestrator.database_command import Failed
from tandem_orchestrator.store.database import Database

PAGE: Final = 1000


def run(options: argparse.Namespace) -> int:
    """Run the command that `options` names; 1 when it fails. Raises `ConfigError`."""
    return database_command.run(options, ACTIONS)


async def create(options: argparse.Namespace, database: Database) -> str:
    """Make a key."""
    given = {name: getattr(options, name) for name in NewTerms.model_fields}
    try:
        terms = NewTerms.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problems = [f"--{str(item['loc'][0]).replace('_', '-')}: {item['msg']}" for item in error.errors()]
        raise Failed("\n".join(problems)) from None
    key, stored = issue(terms, datetime.now(UTC))
    async with key_rows(database) as rows:
        await rows.add(stored)
    if options.output == "json":
        return _json(IssuedKey(key=key, **asdict(stored)))
    print(f"Made {stored.id} for {stored.tenant}. The key is shown this once:", file=sys.stderr)  # noqa: T201
    return key


async def list_(options: argparse.Namespace, database: Database) -> str:
    """List all keys."""
    async with key_rows(database) as rows:
        found = page = await rows.page(options.tenant, limit=PAGE)
        while len(page) == PAGE:
            page = await rows.page(options.tenant, page[-1].id, PAGE)
            found = found + page
    keys = [ShownKey.model_validate(key) for key in found]
    return _json(*keys, many=True) if options.output == "json" else _table(keys, datetime.now(UTC))


async def revoke(options: argparse.Namespace, database: Database) -> str:
    """Revoke a key."""
    async with key_rows(database) as rows:
        revoked = await rows.revoke(options.id, datetime.now(UTC))
    if revoked is None:
        raise Failed(f"there is no key {options.id!r} in the database")
    if options.output == "json":
        return _json(ShownKey.model_validate(revoked))
    return f"{revoked.id} is revoked. Running services refuse it within two seconds."


ACTIONS: Final = {action.__name__: action for action in (create, list_, revoke)}


def _json(*documents: BaseModel, many: bool = False) -> str:
    shapes = [document.model_dump(mode="json", by_alias=True) for document in documents]
    return orjson.dumps(shapes if many else shapes[0], option=orjson.OPT_INDENT_2).decode()


def _table(keys: Sequence[ShownKey], now: datetime) -> str:
    rows = [("ID", "KEY", "TENANT", "NAME", "STATE", "EXPIRES")]
    for key in keys:
        expires = key.expires.isoformat(timespec="seconds") if key.expires else "never"
        rows.append((key.id, f"{key.prefix}…", key.tenant, key.name or "-", _state(key, now), expires))
    return database_command.table(*rows)


def _state(key: ShownKey, now: datetime) -> str:
    if key.revoked:
        return "revoked"
    return "expired" if key.expires and key.expires <= now else "valid"
