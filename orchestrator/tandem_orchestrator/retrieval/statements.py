"""What is asked of the database about vector stores and their files. Imported when it is first used, as it is SQL."""

from typing import Any, Final

from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, exists, func, insert, or_, select, tuple_, update

from tandem_orchestrator.files.tables import FILES
from tandem_orchestrator.retrieval.tables import FILE_BATCHES, INDEXES, STORE_FILES, VECTOR_STORES, WORK
from tandem_orchestrator.store.statement import InsertInto, Statement

STORE_FIRST: Final = 1  # ranks: whoever changes what belongs to a store holds its row first
FILES_NEXT: Final = 2
WORK_THEN: Final = 3
SWITCHED: Final = 4
INDEX_LAST: Final = 5

IN_PROGRESS: Final = "in_progress"
COMPLETED: Final = "completed"
CANCELLED: Final = "cancelled"
FAILED: Final = "failed"
KEPT: Final = "kept"
DROPPED: Final = "dropped"

_S = VECTOR_STORES.c
_X = INDEXES.c
_F = STORE_FILES.c
_B = FILE_BATCHES.c
_W = WORK.c


def _of_tenant(columns: Any) -> ColumnElement[bool]:
    found: ColumnElement[bool] = columns.tenant == bindparam("tenant")
    return found


def _of_store(columns: Any) -> ColumnElement[bool]:
    return and_(_of_tenant(columns), columns.store_id == bindparam("store_id"))


_THE_STORE: Final = and_(_of_tenant(_S), _S.id == bindparam("id"))
_THE_FILE: Final = and_(_of_store(_F), _F.file_id == bindparam("file_id"))

# Stores

ADD_STORE: Final = Statement(insert(VECTOR_STORES), rank=STORE_FIRST)
ADD_INDEX: Final = Statement(insert(INDEXES), rank=INDEX_LAST)
_STORE: Final = (
    _S.id,
    _S.created,
    _S.used,
    _S.name,
    _S.description,
    _S.metadata,
    _S.expires_days,
    _S.index_id,
    _S.next_index_id,
    _X.embedding,
    _X.chunking,
    _X.dimension,
    _X.chunks,
)
_INDEX_OF_STORE: Final = VECTOR_STORES.join(INDEXES, and_(_X.tenant == _S.tenant, _X.id == _S.index_id))
GET_STORE: Final = Statement(select(*_STORE).select_from(_INDEX_OF_STORE).where(_THE_STORE))
HOLD_STORE: Final = Statement(
    update(VECTOR_STORES).where(_THE_STORE).values(used=bindparam("now")).returning(_S.tenant, _S.id),
    rank=STORE_FIRST,
)
"""Holds other writers of a store back, and notes that it is used; returns nothing where there is none."""
SET_STORE: Final = Statement(
    update(VECTOR_STORES)
    .where(_THE_STORE)
    .values(
        name=bindparam("new_name"),
        metadata=bindparam("new_metadata"),
        expires_days=bindparam("new_expires_days"),
        used=bindparam("now"),
    )
    .returning(_S.tenant, _S.id),
    rank=STORE_FIRST,
)
DELETE_STORE: Final = Statement(delete(VECTOR_STORES).where(_THE_STORE).returning(_S.tenant, _S.id), rank=STORE_FIRST)
DROP_INDEXES: Final = Statement(
    update(INDEXES).where(_of_store(_X)).values(state=DROPPED).returning(_X.tenant, _X.store_id),
    rank=INDEX_LAST,
    key=("tenant", "store_id"),
)
"""Has all indexes of a store dropped; their tables go soon."""


def _page(table: Table, where: ColumnElement[bool], own: str, *, ascending: bool) -> Any:
    """Return a query for rows beyond the one that is called `after`, in the order of `created`.

    Rows of the same moment are in the order of the column `own`, which names them.
    """
    other, after = table.alias("other"), bindparam("after", type_=table.c[own].type)
    keys = (key.name for key in table.primary_key if key.name != own)
    columns, theirs = ((each.c.created, each.c[own]) for each in (table, other))
    larger = tuple_(*columns) > tuple_(*theirs) if ascending else tuple_(*columns) < tuple_(*theirs)
    beyond = exists().where(*(other.c[key] == table.c[key] for key in keys), other.c[own] == after, larger)
    order = columns if ascending else (column.desc() for column in columns)
    return select(table).where(where, or_(after == "", beyond)).order_by(*order).limit(bindparam("limit"))


def _stores(*, ascending: bool) -> Statement:
    page = _page(VECTOR_STORES, _of_tenant(_S), "id", ascending=ascending)
    return Statement(page.with_only_columns(*_STORE).select_from(_INDEX_OF_STORE))


STORES_ASC: Final = _stores(ascending=True)
STORES_DESC: Final = _stores(ascending=False)
COUNTS: Final = Statement(
    select(_F.store_id, _F.status, func.count(), func.sum(_F.bytes))
    .where(
        _of_tenant(_F),
        _F.store_id >= bindparam("first", type_=_F.store_id.type),
        _F.store_id <= bindparam("last", type_=_F.store_id.type),
    )
    .group_by(_F.store_id, _F.status)
)
"""How many files of each status the stores of a page have, and their bytes."""
DIMENSION: Final = Statement(select(_X.dimension).where(_of_tenant(_X), _X.id == bindparam("id"), _X.state == KEPT))
"""Of an index's vectors, see `tables.INDEXES`."""
STORED_OF: Final = Statement(
    select(
        select(func.count()).select_from(VECTOR_STORES).where(_of_tenant(_S)).scalar_subquery(),
        select(func.coalesce(func.sum(_X.chunks), 0)).where(_of_tenant(_X), _X.state == KEPT).scalar_subquery(),
    )
)
"""How many stores and chunks a tenant has."""

# Files of stores

_FILE: Final = (
    _F.file_id,
    _F.created,
    _F.filename,
    _F.attributes,
    _F.chunking,
    _F.status,
    _F.error_code,
    _F.error,
    _F.bytes,
)


def _add_file(insert_into: InsertInto) -> Any:
    statement = insert_into(STORE_FILES).values(
        {column.name: bindparam(column.name, type_=column.type) for column in STORE_FILES.columns}
    )
    return statement.on_conflict_do_update(
        index_elements=["tenant", "store_id", "file_id"],
        set_={
            name: statement.excluded[name]
            for name in ("created", "attributes", "chunking", "status", "error_code", "error", "bytes", "batch_id")
        },
    )


ADD_FILE: Final = Statement(_add_file, rank=FILES_NEXT)
"""Attaches a file; one that is attached already is attached anew."""
GET_FILE: Final = Statement(select(*_FILE).where(_THE_FILE))
SET_ATTRIBUTES: Final = Statement(
    update(STORE_FILES)
    .where(_THE_FILE)
    .values(attributes=bindparam("new_attributes"))
    .returning(_F.tenant, _F.store_id, _F.file_id),
    rank=FILES_NEXT,
    key=("tenant", "store_id", "file_id"),
)
DELETE_FILE: Final = Statement(
    delete(STORE_FILES).where(_THE_FILE).returning(_F.tenant, _F.store_id, _F.file_id),
    rank=FILES_NEXT,
    key=("tenant", "store_id", "file_id"),
)


def _files(*, ascending: bool) -> Statement:
    status, batch = bindparam("status", type_=_F.status.type), bindparam("batch_id", type_=_F.batch_id.type)
    where = and_(_of_store(_F), or_(status == "", _F.status == status), or_(batch == "", _F.batch_id == batch))
    page = _page(STORE_FILES, where, "file_id", ascending=ascending)
    return Statement(page.with_only_columns(*_FILE))


FILES_ASC: Final = _files(ascending=True)
FILES_DESC: Final = _files(ascending=False)
_THERE: Final = exists().where(FILES.c.tenant == _F.tenant, FILES.c.id == _F.file_id)
FOUND: Final = Statement(
    select(_F.file_id, _F.filename, _F.attributes).where(_THE_FILE, _F.status == COMPLETED, _THERE)
)
"""A file that may be shown among what a search found."""
ATTRIBUTES: Final = Statement(
    select(_F.file_id, _F.attributes)
    .where(_of_store(_F), _F.status == COMPLETED, _F.file_id > bindparam("after", type_=_F.file_id.type), _THERE)
    .order_by(_F.file_id)
    .limit(bindparam("most"))
)

# Batches of files

ADD_BATCH: Final = Statement(insert(FILE_BATCHES), rank=FILES_NEXT)
GET_BATCH: Final = Statement(select(_B.id, _B.created, _B.cancelled).where(_of_store(_B), _B.id == bindparam("id")))
BATCH_COUNTS: Final = Statement(
    select(_F.status, func.count())
    .where(_of_store(_F), _F.batch_id == bindparam("batch_id", type_=_F.batch_id.type))
    .group_by(_F.status)
)
CANCEL_BATCH: Final = Statement(
    update(FILE_BATCHES)
    .where(_of_store(_B), _B.id == bindparam("batch_id"), _B.cancelled.is_(None))
    .values(cancelled=bindparam("now"))
    .returning(_B.tenant, _B.id),
    rank=FILES_NEXT,
    key=("tenant", "batch_id"),
)
CANCEL_FILES: Final = Statement(
    update(STORE_FILES)
    .where(_of_store(_F), _F.batch_id == bindparam("batch_id"), _F.status == IN_PROGRESS)
    .values(status=CANCELLED)
    .returning(_F.tenant, _F.batch_id),
    rank=FILES_NEXT,
    key=("tenant", "batch_id"),
)
DROP_CANCELLED: Final = Statement(
    delete(WORK)
    .where(
        _of_store(_W),
        exists().where(
            _F.tenant == _W.tenant,
            _F.store_id == _W.store_id,
            _F.file_id == _W.file_id,
            _F.batch_id == bindparam("batch_id"),
            _F.status == CANCELLED,
        ),
    )
    .returning(_W.tenant, _W.store_id),
    rank=WORK_THEN,
    key=("tenant", "store_id"),
)
