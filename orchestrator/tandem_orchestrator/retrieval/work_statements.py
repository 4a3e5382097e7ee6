"""What is asked of the database about bringing files into indexes, and about what is to be swept. See `statements`."""

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    tuple_,
    update,
)

from tandem_orchestrator.files.tables import FILES
from tandem_orchestrator.retrieval.statements import (
    COMPLETED,
    DROPPED,
    FILES_NEXT,
    IN_PROGRESS,
    INDEX_LAST,
    KEPT,
    STORE_FIRST,
    SWITCHED,
    WORK_THEN,
)
from tandem_orchestrator.retrieval.tables import INDEXES, STORE_FILES, VECTOR_STORES, WORK
from tandem_orchestrator.store.lease_statements import lives
from tandem_orchestrator.store.statement import InsertInto, Statement

NOBODY: Final[ColumnElement[str]] = literal_column("''")

_S = VECTOR_STORES.c
_X = INDEXES.c
_F = STORE_FILES.c
_W = WORK.c

_MINE: Final = and_(
    _W.index_id == bindparam("index_id"), _W.file_id == bindparam("file_id"), _W.owner == bindparam("owner")
)
_WORK_KEY: Final = ("index_id", "file_id")

# Adding


def _queue(insert_into: InsertInto, rows: Select[Any]) -> Any:
    statement = insert_into(WORK).from_select([column.name for column in WORK.columns], rows)
    return statement.on_conflict_do_update(
        index_elements=list(_WORK_KEY),
        set_={
            name: statement.excluded[name]
            for name in ("owner", "turn", "due", "queued", "claims", "failures", "position", "bytes")
        },
    )


def _new(index_id: ColumnElement[Any], file_id: ColumnElement[Any], turn: ColumnElement[Any]) -> list[Any]:
    """Return the columns of new work, in the order of the table's."""
    moment = bindparam("now", type_=_W.due.type)
    nothing: Any = literal_column("0")
    return [index_id, file_id, _S.tenant, _S.id, NOBODY, turn, moment, moment, *[nothing] * 4]


def _of_file(index_id: Any) -> Statement:
    rows = select(
        *_new(index_id, bindparam("file_id", type_=_W.file_id.type), bindparam("turn", type_=_W.turn.type))
    ).where(_S.tenant == bindparam("tenant"), _S.id == bindparam("store_id"), index_id.is_not(None))
    return Statement(lambda insert_into: _queue(insert_into, rows), rank=WORK_THEN)


QUEUE: Final = _of_file(_S.index_id)
"""Has a file brought into a store's index,"""
QUEUE_NEXT: Final = _of_file(_S.next_index_id)
"""and into the one that is to take its place, if there is one."""


def _all_files() -> Statement:
    rows = (
        select(*_new(_S.next_index_id, _F.file_id, _F.created))
        .select_from(VECTOR_STORES.join(STORE_FILES, and_(_F.tenant == _S.tenant, _F.store_id == _S.id)))
        .where(
            _S.tenant == bindparam("tenant"),
            _S.id == bindparam("store_id"),
            _S.next_index_id.is_not(None),
            or_(_F.status == COMPLETED, _F.status == IN_PROGRESS),
        )
    )
    return Statement(lambda insert_into: _queue(insert_into, rows), rank=WORK_THEN)


BEGIN_REINDEX: Final = Statement(
    update(VECTOR_STORES)
    .where(
        _S.tenant == bindparam("tenant"),
        _S.id == bindparam("id"),
        or_(
            _S.next_index_id.is_(None),
            ~exists().where(
                _X.id == _S.next_index_id,
                _X.embedding == bindparam("new_embedding"),
                _X.chunking == bindparam("new_chunking"),
            ),
        ),
    )
    .values(next_index_id=bindparam("new_index_id"), used=bindparam("now"))
    .returning(_S.tenant, _S.id),
    rank=STORE_FIRST,
)
"""Notes which index is to take the place of a store's; returns nothing while one of that kind is being made already."""
QUEUE_ALL: Final = _all_files()
"""Has all files of a store brought into that index."""

# Taking


def _take(wanted: ColumnElement[bool]) -> Statement:
    first = select(_W.index_id, _W.file_id).where(wanted).order_by(_W.turn).limit(bindparam("most"))
    found = first.with_for_update(skip_locked=True).cte("found")  # not a subquery, which might be run again
    return Statement(
        update(WORK)
        .where(tuple_(_W.index_id, _W.file_id).in_(select(found.c.index_id, found.c.file_id)))
        .values(owner=bindparam("new_owner"), claims=_W.claims + 1)
        .returning(
            _W.owner,
            _W.index_id,
            _W.file_id,
            _W.tenant,
            _W.store_id,
            _W.queued,
            _W.claims,
            _W.failures,
            _W.position,
            _W.bytes,
        ),
        rank=WORK_THEN,
        key=("new_owner",),
    )


_waits: Final = and_(_W.owner == NOBODY, _W.due <= bindparam("now"))
_left: Final = and_(_W.owner != NOBODY, ~lives(_W.owner))
ANY_CLAIM: Final = _take(_waits)
ANY_LEFT: Final = _take(_left)
"""Takes what processes that are gone were doing."""
ANY_IS_LEFT: Final = Statement(select(_W.file_id).where(_left).limit(1))
ANY_WAITS: Final = Statement(select(_W.file_id).where(_waits).limit(1))
ANY_QUEUED: Final = Statement(select(func.count(), func.min(_W.queued)).where(_W.owner == NOBODY))
MINE: Final = Statement(select(_W.index_id, _W.file_id).where(_W.owner == bindparam("owner")))

# Doing

TO_DO: Final = Statement(
    select(_F.filename, _F.chunking, _X.embedding, _X.chunking, _X.dimension, _S.index_id)
    .select_from(STORE_FILES.join(VECTOR_STORES, and_(_S.tenant == _F.tenant, _S.id == _F.store_id)))
    .join(INDEXES, and_(_X.tenant == _F.tenant, _X.id == bindparam("index_id"), _X.state == KEPT))
    .where(_F.tenant == bindparam("tenant"), _F.store_id == bindparam("store_id"), _F.file_id == bindparam("file_id"))
)
"""What one piece of work is about; no row where it has become needless."""
PROGRESS: Final = Statement(
    update(WORK)
    .where(_MINE)
    .values(position=bindparam("new_position"), bytes=_W.bytes + bindparam("more_bytes"), claims=0, failures=0)
    .returning(_W.index_id, _W.file_id),
    rank=STORE_FIRST,
    key=_WORK_KEY,
    required=True,
)
"""Comes before pieces are added: whoever has lost the work adds nothing."""
COUNT_CHUNKS: Final = Statement(
    update(INDEXES)
    .where(_X.id == bindparam("id"))
    .values(chunks=_X.chunks + bindparam("more_chunks"), dimension=bindparam("new_dimension"))
    .returning(_X.id),
    rank=INDEX_LAST,
    key=("id",),
)
RECOUNT: Final = Statement(
    update(INDEXES).where(_X.id == bindparam("id")).values(chunks=bindparam("new_chunks")).returning(_X.id),
    rank=INDEX_LAST,
    key=("id",),
)
"""Notes how many pieces are left; what is added at this very moment may be missed until the next time."""
RELEASE: Final = Statement(
    update(WORK)
    .where(_MINE)
    .values(owner=NOBODY, due=bindparam("new_due"), claims=0, failures=bindparam("new_failures"))
    .returning(_W.index_id, _W.file_id),
    rank=WORK_THEN,
    key=_WORK_KEY,
)
"""Gives work back, for another try."""
ABANDON: Final = Statement(
    update(WORK).where(_MINE).values(owner=NOBODY).returning(_W.index_id, _W.file_id), rank=WORK_THEN, key=_WORK_KEY
)
END: Final = Statement(
    delete(WORK).where(_MINE).returning(_W.index_id, _W.file_id), rank=STORE_FIRST, key=_WORK_KEY, required=True
)
_searched: Final = exists().where(
    _S.tenant == _F.tenant, _S.id == _F.store_id, _S.index_id == bindparam("index_id", type_=_X.id.type)
)
NOTE: Final = Statement(
    update(STORE_FILES)
    .where(_F.tenant == bindparam("tenant"), _F.store_id == bindparam("store_id"), _F.file_id == bindparam("of_file"))
    .values(
        status=case((_searched, bindparam("new_status", type_=_F.status.type)), else_=_F.status),
        bytes=case((_searched, bindparam("new_bytes", type_=_F.bytes.type)), else_=_F.bytes),
        error_code=bindparam("new_error_code"),
        error=bindparam("new_error"),
    )
    .returning(_F.tenant, _F.store_id, _F.file_id),
    rank=FILES_NEXT,
    key=("tenant", "store_id", "of_file"),
)
"""Notes how far a file is in the index that is searched, and what went wrong in any."""
SWITCH: Final = Statement(
    update(VECTOR_STORES)
    .where(
        _S.tenant == bindparam("tenant"),
        _S.id == bindparam("id"),
        _S.next_index_id == bindparam("index_id"),
        ~exists().where(_W.index_id == bindparam("index_id")),
    )
    .values(index_id=_S.next_index_id, next_index_id=null())
    .returning(_S.tenant, _S.id),
    rank=WORK_THEN,
)
"""Puts the next index in its place, once all files are in it;"""
SETTLE: Final = Statement(
    update(STORE_FILES)
    .where(
        _F.tenant == bindparam("tenant"),
        _F.store_id == bindparam("store_id"),
        _F.status == IN_PROGRESS,
        exists(
            select(_X.id)
            .join(VECTOR_STORES, and_(_S.tenant == _X.tenant, _S.id == _X.store_id))
            .where(
                _S.tenant == bindparam("tenant"),
                _S.id == bindparam("store_id"),
                _S.index_id == bindparam("index_id", type_=_X.id.type),
                _S.next_index_id.is_(None),
                _X.id != _S.index_id,
                _X.state == KEPT,
            )
        ),
    )
    .values(status=COMPLETED)
    .returning(_F.tenant, _F.store_id),
    rank=SWITCHED,
    key=("tenant", "store_id"),
)
"""then files are done that the index before still waited for,"""
DROP_OTHERS: Final = Statement(
    update(INDEXES)
    .where(
        _X.tenant == bindparam("tenant"),
        _X.store_id == bindparam("store_id"),
        _X.state == KEPT,
        ~exists().where(
            _S.tenant == _X.tenant, _S.id == _X.store_id, or_(_S.index_id == _X.id, _S.next_index_id == _X.id)
        ),
    )
    .values(state=DROPPED)
    .returning(_X.tenant, _X.store_id),
    rank=INDEX_LAST,
    key=("tenant", "store_id"),
)
"""and that one goes."""

# Sweeping

ANY_DROPPED: Final = Statement(select(_X.id).where(_X.state == DROPPED).limit(bindparam("most")))
ANY_FORGET_INDEX: Final = Statement(
    delete(INDEXES).where(_X.id == bindparam("id"), _X.state == DROPPED).returning(_X.id), rank=INDEX_LAST, key=("id",)
)
_emptied: Final = exists().where(_F.tenant == _S.tenant, _F.store_id == _S.id)
ANY_EXPIRED: Final = Statement(
    select(_S.tenant, _S.id)
    .where(_S.expires_days.is_not(None), _S.used + _S.expires_days * literal(86_400_000) < bindparam("now"), _emptied)
    .limit(bindparam("most"))
)
"""Stores that have expired and are not empty yet."""
RENEW: Final = Statement(
    update(VECTOR_STORES)
    .where(_S.tenant == bindparam("tenant"), _S.id == bindparam("store_id"))
    .values(index_id=bindparam("new_index_id"), next_index_id=null())
    .returning(_S.tenant, _S.id),
    rank=STORE_FIRST,
    key=("tenant", "store_id"),
)
"""Gives a store an index with nothing in it."""
EMPTY_STORE: Final = Statement(
    delete(STORE_FILES)
    .where(_F.tenant == bindparam("tenant"), _F.store_id == bindparam("store_id"))
    .returning(_F.tenant, _F.store_id),
    rank=FILES_NEXT,
    key=("tenant", "store_id"),
)
ANY_MADE_BY: Final = Statement(
    select(_X.embedding, _X.dimension, func.count())
    .select_from(VECTOR_STORES.join(INDEXES, and_(_X.tenant == _S.tenant, _X.id == _S.index_id)))
    .group_by(_X.embedding, _X.dimension)
)
"""What made the vectors of stores, and of how many."""
ANY_LOST_FILES: Final = Statement(
    select(_F.tenant, _F.store_id, _F.file_id)
    .where(~exists().where(FILES.c.tenant == _F.tenant, FILES.c.id == _F.file_id))
    .limit(bindparam("most"))
)
"""Files of stores that have been deleted themselves."""
ANY_MADE: Final = Statement(
    select(_S.tenant, _S.id, _S.next_index_id)
    .where(_S.next_index_id.is_not(None), ~exists().where(_W.index_id == _S.next_index_id))
    .limit(bindparam("most"))
)
"""Stores whose next index has all files, and that nobody has put in its place: it may be that there were none."""

# Telling

_of_store: Final = and_(_F.tenant == _S.tenant, _F.store_id == _S.id)
_of: Final = bindparam("of", type_=_S.tenant.type)
ANY_STORES: Final = Statement(
    select(
        _S.tenant,
        _S.id,
        _S.name,
        _S.next_index_id,
        _X.embedding,
        _X.chunking,
        _X.dimension,
        _X.chunks,
        select(func.count()).select_from(STORE_FILES).where(_of_store).scalar_subquery(),
        select(func.count())
        .select_from(WORK)
        .where(_W.index_id == func.coalesce(_S.next_index_id, _S.index_id))
        .scalar_subquery(),
        select(func.min(_F.error))
        .where(
            _of_store,
            exists().where(_W.file_id == _F.file_id, _W.index_id == func.coalesce(_S.next_index_id, _S.index_id)),
        )
        .scalar_subquery(),
    )
    .select_from(VECTOR_STORES.join(INDEXES, and_(_X.tenant == _S.tenant, _X.id == _S.index_id)))
    .where(
        or_(_of == "", _S.tenant == _of),
        tuple_(_S.tenant, _S.id) > tuple_(bindparam("tenant", type_=_S.tenant.type), bindparam("id", type_=_S.id.type)),
    )
    .order_by(_S.tenant, _S.id)
    .limit(bindparam("most"))
)
"""Stores after one, of all tenants or of one, with how many files they have, how many of them wait, and why."""
