"""What is asked of the database about all that tenants keep. Every statement is about one tenant, but for `TENANTS`."""

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    and_,
    bindparam,
    delete,
    func,
    null,
    or_,
    select,
    tuple_,
    union,
    update,
)

from tandem_orchestrator.batches.statements import shown
from tandem_orchestrator.batches.tables import BATCHES, OUTCOMES, SPANS
from tandem_orchestrator.files import tables as files
from tandem_orchestrator.files.tables import BLOBS, FILES, PARTS, UPLOADS
from tandem_orchestrator.responses.tables import CONVERSATION_ITEMS, CONVERSATIONS, EVENTS, RESPONSES, RUNS, STORED
from tandem_orchestrator.retrieval.tables import INDEXES, STORE_FILES, VECTOR_STORES
from tandem_orchestrator.store.statement import Statement

_R = RESPONSES.c
_C = CONVERSATIONS.c
_I = CONVERSATION_ITEMS.c


def _of_tenant(table: FromClause) -> ColumnElement[bool]:
    return table.c.tenant == bindparam("tenant")


def _between(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return and_(column > bindparam("after", type_=column.type), column <= bindparam("last", type_=column.type))


# How much there is


def _tenants() -> Statement:
    counts = files.STORED
    tenants = (STORED, CONVERSATIONS, counts, VECTOR_STORES, BATCHES)
    names = union(*(select(table.c.tenant) for table in tenants)).subquery()

    def number(table: FromClause) -> ColumnElement[int]:
        return select(func.count()).select_from(table).where(table.c.tenant == names.c.tenant).scalar_subquery()

    return Statement(
        select(
            names.c.tenant,
            func.coalesce(STORED.c.responses, 0),
            func.coalesce(STORED.c.bytes, 0),
            number(CONVERSATIONS),
            func.coalesce(counts.c.files, 0),
            func.coalesce(counts.c.bytes, 0),
            number(VECTOR_STORES),
            number(BATCHES),
        )
        .select_from(
            names.outerjoin(STORED, STORED.c.tenant == names.c.tenant).outerjoin(
                counts, counts.c.tenant == names.c.tenant
            )
        )
        .where(names.c.tenant > bindparam("after", type_=_R.tenant.type))
        .order_by(names.c.tenant)
        .limit(bindparam("most"))
    )


TENANTS: Final = _tenants()
"""Tenants after one, by name: how many responses, bytes, conversations, files, bytes of these, vector stores and
batches."""


def _number(table: FromClause) -> ColumnElement[int]:
    return select(func.count()).select_from(table).where(_of_tenant(table)).scalar_subquery()


LEFT: Final = Statement(
    select(
        _number(RESPONSES),
        _number(CONVERSATIONS),
        _number(FILES),
        _number(VECTOR_STORES),
        _number(BATCHES),
        _number(UPLOADS) + _number(BLOBS) + _number(INDEXES),
        _number(STORED) + _number(files.STORED),
    )
)
"""How many responses, conversations, files, vector stores and batches a tenant has, what lies behind them, and what
counts."""

# Export: sizes first, so that no more is read at once than fits

RESPONSE_SIZES: Final = Statement(
    select(_R.id, _R.bytes)
    .where(_of_tenant(RESPONSES), _R.hidden.is_(False), _R.id > bindparam("after", type_=_R.id.type))
    .order_by(_R.id)
    .limit(bindparam("most"))
)
SOME_RESPONSES: Final = Statement(
    select(_R.resource, _R.input, _R.output)
    .where(_of_tenant(RESPONSES), _R.hidden.is_(False), _between(_R.id))
    .order_by(_R.id)
)
SOME_CONVERSATIONS: Final = Statement(
    select(_C.id, _C.created, _C.metadata)
    .where(_of_tenant(CONVERSATIONS), _C.id > bindparam("after", type_=_C.id.type))
    .order_by(_C.id)
    .limit(bindparam("most"))
)
_THE_ITEMS: Final = and_(_of_tenant(CONVERSATION_ITEMS), _I.conversation_id == bindparam("conversation_id"))
ITEM_SIZES: Final = Statement(
    select(_I.position, _I.bytes)
    .where(_THE_ITEMS, _I.position > bindparam("after", type_=_I.position.type))
    .order_by(_I.position)
    .limit(bindparam("most"))
)
SOME_ITEMS: Final = Statement(select(_I.item).where(_THE_ITEMS, _between(_I.position)).order_by(_I.position))
SOME_FILES: Final = Statement(
    select(
        FILES.c.id,
        FILES.c.digest,
        FILES.c.filename,
        FILES.c.purpose,
        FILES.c.bytes,
        FILES.c.created,
        FILES.c.expires,
        BLOBS.c.key,
    )
    .join(BLOBS, and_(BLOBS.c.tenant == FILES.c.tenant, BLOBS.c.digest == FILES.c.digest))
    .where(_of_tenant(FILES), FILES.c.id > bindparam("after", type_=FILES.c.id.type))
    .order_by(FILES.c.id)
    .limit(bindparam("most"))
)

SOME_STORES: Final = Statement(
    select(
        VECTOR_STORES.c.id,
        VECTOR_STORES.c.created,
        VECTOR_STORES.c.name,
        VECTOR_STORES.c.description,
        VECTOR_STORES.c.metadata,
    )
    .where(_of_tenant(VECTOR_STORES), VECTOR_STORES.c.id > bindparam("after", type_=VECTOR_STORES.c.id.type))
    .order_by(VECTOR_STORES.c.id)
    .limit(bindparam("most"))
)
SOME_STORE_FILES: Final = Statement(
    select(STORE_FILES.c.file_id, STORE_FILES.c.created, STORE_FILES.c.attributes, STORE_FILES.c.status)
    .where(
        _of_tenant(STORE_FILES),
        STORE_FILES.c.store_id == bindparam("store_id"),
        STORE_FILES.c.file_id > bindparam("after", type_=STORE_FILES.c.file_id.type),
    )
    .order_by(STORE_FILES.c.file_id)
    .limit(bindparam("most"))
)
SOME_BATCHES: Final = Statement(
    shown()
    .where(BATCHES.c.id > bindparam("after", type_=BATCHES.c.id.type))
    .order_by(BATCHES.c.id)
    .limit(bindparam("most"))
)

# Purge: some rows at a time, without waiting for what others change at this moment


def _some(table: FromClause, *where: ColumnElement[bool]) -> ColumnElement[bool]:
    key = list(table.primary_key)
    rows = select(*key).where(_of_tenant(table), *where).order_by(*key).limit(bindparam("most"))
    found = rows.with_for_update(skip_locked=True).cte("found")  # not a subquery, which might be run again
    return tuple_(*key).in_(select(*found.c))


def _delete(table: Any, *columns: ColumnElement[Any]) -> Statement:
    return Statement(delete(table).where(_some(table)).returning(table.c.tenant, *columns), key=("tenant",))


DELETE_RUNS: Final = _delete(RUNS)
"""From then on no process makes the responses: what it would write is nobody's."""
HIDE_RESPONSES: Final = Statement(
    update(RESPONSES)
    .where(_some(RESPONSES, or_(_R.hidden.is_(False), _R.previous_id.is_not(None))))
    .values(hidden=True, previous_id=null())
    .returning(_R.tenant),
    key=("tenant",),
)
"""Takes responses from everybody's sight, and apart, so that they can be deleted in any order."""
DELETE_EVENTS: Final = _delete(EVENTS)
DELETE_RESPONSES: Final = _delete(RESPONSES)
DELETE_ITEMS: Final = _delete(CONVERSATION_ITEMS)
DELETE_CONVERSATIONS: Final = _delete(CONVERSATIONS)
END_BATCHES: Final = Statement(
    update(BATCHES)
    .where(_some(BATCHES, BATCHES.c.ended.is_(None)))
    .values(status="cancelled", ending="cancelled", ended=BATCHES.c.created)
    .returning(BATCHES.c.tenant),
    key=("tenant",),
)
"""From then on no process makes their lines."""
DELETE_OUTCOMES: Final = _delete(OUTCOMES)
DELETE_SPANS: Final = _delete(SPANS)
DELETE_BATCHES: Final = _delete(BATCHES)
DELETE_STORES: Final = _delete(VECTOR_STORES)
"""From then on nobody adds to their indexes,"""
INDEXES_OF: Final = Statement(select(INDEXES.c.id).where(_of_tenant(INDEXES)).limit(bindparam("most")))
"""whose tables are dropped before their rows are deleted."""
FORGET_INDEX: Final = Statement(
    delete(INDEXES).where(_of_tenant(INDEXES), INDEXES.c.id == bindparam("id")).returning(INDEXES.c.tenant),
    key=("tenant",),
)
DELETE_FILES: Final = _delete(FILES)
DELETE_PARTS: Final = _delete(PARTS, PARTS.c.key)
DELETE_UPLOADS: Final = _delete(UPLOADS)
DELETE_BLOBS: Final = _delete(BLOBS, BLOBS.c.key)
"""As of parts, what is returned besides is where bytes lie that are to be deleted then."""


def _forget(counts: Any, number: ColumnElement[int]) -> Statement:
    unused = delete(counts).where(_of_tenant(counts), number == 0, counts.c.bytes == 0)
    return Statement(unused.returning(counts.c.tenant), key=("tenant",))


FORGET: Final = _forget(STORED, STORED.c.responses)
"""Deletes a tenant's counts; never while they count something, so that they stay true."""
FORGET_FILES: Final = _forget(files.STORED, files.STORED.c.files)
