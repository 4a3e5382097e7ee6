"""What the commands do; each returns what to print on standard output."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import orjson
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator import database_command
from tandem_orchestrator.config import Source
from tandem_orchestrator.database_command import Failed
from tandem_orchestrator.engines.catalogue import Catalogue
from tandem_orchestrator.engines.dispatch import Dispatcher
from tandem_orchestrator.engines.upstreams import Upstreams
from tandem_orchestrator.errors import Clash, NotFound
from tandem_orchestrator.files.filing import Filing
from tandem_orchestrator.retrieval.creation import Creation
from tandem_orchestrator.retrieval.embedding.embedders import Embedders
from tandem_orchestrator.retrieval.embedding.identity import Identity
from tandem_orchestrator.retrieval.kept import MIGRATION, Kept
from tandem_orchestrator.retrieval.store_files import StoreFiles
from tandem_orchestrator.retrieval.strategy import default_strategy
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.leases import Leases
from tandem_orchestrator.store_commands.listed import Listed, listed

LOOK_SECONDS: Final = 2.0
COLUMNS: Final = ("tenant", "id", "name", "model", "dimension", "chunks", "files", "waiting", "state", "problem")


@dataclass(frozen=True)
class Means:
    """What the commands work with."""

    kept: Kept
    creation: Creation
    identity: Identity | None
    """What would make a store's vectors now,"""
    chunking: str
    """and how its files would be cut."""

    async def stores(self, tenant: str | None) -> list[Listed]:
        """Return all stores, or those of a tenant."""
        return [store async for store in listed(self.kept.rows, tenant)]

    def state(self, store: Listed) -> str:
        """Return whether a store is as it would be made now."""
        return store.state(self.identity, self.chunking)


def run(options: argparse.Namespace) -> int:
    """Run the command that `options` names; 1 when it fails. Raises `ConfigError`."""
    return database_command.run(options, ACTIONS)


async def list_(options: argparse.Namespace, database: Database) -> str:
    """List vector stores."""
    async with _means(options, database) as means:
        shown = [store.shown(means.state(store)) for store in await means.stores(options.tenant)]
    if options.output == "json":
        return orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode()
    rows = [tuple(_cell(store[name]) for name in COLUMNS) for store in shown]
    return database_command.table(tuple(name.upper() for name in COLUMNS), *rows)


async def reindex(options: argparse.Namespace, database: Database) -> str:
    """Have stores indexed anew."""
    if bool(options.ids) == options.all:
        raise Failed("name vector stores, or say --all for those that are not made as the settings are now")
    async with _means(options, database) as means:
        wanted = _wanted(options, means, await means.stores(options.tenant))
        told = [await _begin(means, store) for store in wanted]
        if options.wait:
            await _wait(means, options.tenant, {store.id for store in wanted})
            told.append(f"{len(wanted)} vector stores are searched in their new index.")
    return "\n".join(told) or "All vector stores are made as the settings are now."


ACTIONS: Final = {action.__name__: action for action in (list_, reindex)}


def _wanted(options: argparse.Namespace, means: Means, stores: list[Listed]) -> list[Listed]:
    """Return the stores to index anew. Raises `Failed` for one that is not there."""
    if options.all:
        return [store for store in stores if not store.fits(means.identity, means.chunking)]
    there = {store.id: store for store in stores}
    if unknown := [each for each in options.ids if each not in there]:
        of = f" of {options.tenant!r}" if options.tenant else ""
        raise Failed(f"there is no vector store {', '.join(unknown)}{of}")
    return [there[each] for each in dict.fromkeys(options.ids)]


async def _begin(means: Means, store: Listed) -> str:
    try:
        await means.creation.reindex(store.tenant, store.id)
    except Clash:
        return f"{store.id} of {store.tenant} is being indexed anew already: {store.waiting} files wait."
    except NotFound:
        return f"{store.id} of {store.tenant} has been deleted meanwhile."
    return f"{store.id} of {store.tenant} is indexed anew: {store.files} files."


async def _wait(means: Means, tenant: str | None, ids: set[str]) -> None:
    """Wait until none of the stores waits for an index; tell how many files wait whenever that changes."""
    before = ""
    while under_way := [s for s in await means.stores(tenant) if s.id in ids and s.next_index_id is not None]:
        problems = sorted({f"{store.id}: {store.problem}" for store in under_way if store.problem})
        waiting = sum(store.waiting for store in under_way)
        now = "\n".join([f"{len(under_way)} vector stores wait for {waiting} files", *problems])
        if now != before:
            print(now, file=sys.stderr, flush=True)  # noqa: T201
            before = now
        await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def _means(options: argparse.Namespace, database: Database) -> AsyncIterator[Means]:
    """Provide them. Raises `Failed` where there is no database, or what is to make vectors is not there."""
    config = Source(options.config).load("database")
    if not database.exists:
        raise Failed("there is no database yet, and so no vector store")
    await database.require(MIGRATION)
    filing, embedders = Filing(config, database), _embedders(config)
    try:
        identity = None
        if embedders.now is not None:
            await embedders.now.prepare()
            identity = embedders.now.identity
        if embedders.problems:
            raise Failed("\n".join(embedders.problems))
        kept = Kept(database, Leases(database), filing.files)
        creation = Creation(kept, StoreFiles(kept, config.retrieval.quota), embedders, config.retrieval)
        yield Means(kept, creation, identity, default_strategy(config.retrieval.chunking))
    finally:
        await embedders.close()
        await filing.storage.close()


def _embedders(config: OrchestratorConfig) -> Embedders:
    """Return what knows what would make vectors; no engine is asked."""
    upstreams = Upstreams(config)
    catalogue = Catalogue(config.models, upstreams)
    return Embedders(config, catalogue, Dispatcher(config, catalogue, upstreams))


def _cell(value: object) -> str:
    return "-" if value is None or value == "" else " ".join(str(value).split())
