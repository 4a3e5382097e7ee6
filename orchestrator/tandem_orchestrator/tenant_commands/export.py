"""Writes all that a tenant keeps, one JSON document a line, without ever having much of it in memory."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final

import orjson

from tandem_orchestrator.batches.batch import document as batch_document
from tandem_orchestrator.files.stored_file import StoredFile
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.statement import Row, Statement, Step
from tandem_orchestrator.tenant_commands import statements

PAGE: Final = 500  # rows of which only keys and sizes are read
MOST_BYTES: Final = 4_000_000  # at once, unless a single row is larger
RESPONSE: Final = b'{"kind":"response","document":%b,"input":%b,"output":%b}}\n'
CONVERSATION: Final = b'{"kind":"conversation","document":%b}\n'
ITEM: Final = b'{"kind":"conversation_item","conversation_id":%b,"document":%b}\n'
STORE: Final = b'{"kind":"vector_store","document":%b}\n'
STORE_FILE: Final = b'{"kind":"vector_store_file","vector_store_id":%b,"document":%b}\n'
BATCH: Final = b'{"kind":"batch","document":%b}\n'
FILE: Final = b'{"kind":"file","sha256":%b,"document":%b}\n'


async def files(database: Database, tenant: str) -> AsyncIterator[StoredFile]:
    """Yield a tenant's files in the order of their making. Raises `DatabaseDown`."""
    after = ""
    while page := await _read(database, statements.SOME_FILES, tenant=tenant, after=after, most=PAGE):
        for row in page:
            yield StoredFile(tenant, *row)
        after = page[-1][0]


async def lines(database: Database, tenant: str) -> AsyncIterator[bytes]:
    """Yield responses in the order of their making, then each conversation with its items, then each vector
    store with its files, then batches, then what is said of files.

    Raises `DatabaseDown`.

    A response that its client has deleted is not among them, though others may still be continuing it.
    """
    queries = statements.RESPONSE_SIZES, statements.SOME_RESPONSES
    async for resource, given, output in _rows(database, queries, "", tenant=tenant):
        yield RESPONSE % (resource.encode()[:-1], given.encode(), output.encode())
    async for conversation_id, created, metadata in _conversations(database, tenant):
        document = {"id": conversation_id, "object": "conversation", "created_at": created // 1000}
        yield CONVERSATION % orjson.dumps(document | {"metadata": orjson.Fragment(metadata)})
        queries = statements.ITEM_SIZES, statements.SOME_ITEMS
        where = {"tenant": tenant, "conversation_id": conversation_id}
        async for (item,) in _rows(database, queries, -1, **where):
            yield ITEM % (orjson.dumps(conversation_id), item.encode())
    async for line in _stores(database, tenant):
        yield line
    async for line in _batches(database, tenant):
        yield line
    async for file in files(database, tenant):
        yield FILE % (orjson.dumps(file.digest), orjson.dumps(file.document()))


async def _batches(database: Database, tenant: str) -> AsyncIterator[bytes]:
    """Yield each batch; what came of its lines is in files."""
    after = ""
    while page := await _read(database, statements.SOME_BATCHES, tenant=tenant, after=after, most=PAGE):
        for row in page:
            document = batch_document(row)
            yield BATCH % orjson.dumps(document)
            after = document["id"]


async def _stores(database: Database, tenant: str) -> AsyncIterator[bytes]:
    """Yield each vector store, followed by its files; what was made of these is made again of their contents."""
    after = ""
    while page := await _read(database, statements.SOME_STORES, tenant=tenant, after=after, most=PAGE):
        for store_id, created, name, description, metadata in page:
            document = {"id": store_id, "object": "vector_store", "created_at": created // 1000, "name": name}
            document |= {"description": description, "metadata": orjson.Fragment(metadata)}
            yield STORE % orjson.dumps(document)
            async for line in _store_files(database, tenant, store_id):
                yield line
        after = page[-1][0]


async def _store_files(database: Database, tenant: str, store_id: str) -> AsyncIterator[bytes]:
    after = ""
    where = {"tenant": tenant, "store_id": store_id, "most": PAGE}
    while page := await _read(database, statements.SOME_STORE_FILES, **where, after=after):
        for file_id, created, attributes, status in page:
            document = {"id": file_id, "object": "vector_store.file", "created_at": created // 1000, "status": status}
            document["attributes"] = orjson.Fragment(attributes)
            yield STORE_FILE % (orjson.dumps(store_id), orjson.dumps(document))
        after = page[-1][0]


async def _conversations(database: Database, tenant: str) -> AsyncIterator[Row]:
    after = ""
    while page := await _read(database, statements.SOME_CONVERSATIONS, tenant=tenant, after=after, most=PAGE):
        for row in page:
            yield row
        after = page[-1][0]


async def _rows(
    database: Database, queries: tuple[Statement, Statement], first: str | int, **where: Any
) -> AsyncIterator[Row]:
    """Yield the rows of the second query, by keys and sizes that the first one finds."""
    sizes, rows = queries
    after = first
    while page := await _read(database, sizes, **where, after=after, most=PAGE):
        for last in spans(page, MOST_BYTES):
            for row in await _read(database, rows, **where, after=after, last=last):
                yield row
            after = last


async def _read(database: Database, statement: Statement, **parameters: Any) -> list[Row]:
    return await database.read(Step(statement, (parameters,)))


def spans(sizes: Sequence[Row], most: int) -> Iterator[Any]:
    """Yield the last key of each span of rows that have `most` bytes together, or are a single one."""
    total = 0
    before: Any = None
    for key, size in sizes:
        if total and total + size > most:
            yield before
            total = 0
        total += size
        before = key
    if sizes:
        yield before
