"""What is asked of the database about batches. Imported when it is first used, as it is SQL.

One process at a time works at batches: what it writes counts while it holds the lease and the batch is as it was read.
Both rows are locked until that is committed, so that whoever ends a batch, or takes over, sees all that counts.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    and_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.sql.expression import tuple_

from tandem_orchestrator.batches.leading import LEASE
from tandem_orchestrator.batches.tables import BATCHES, OUTCOMES, SPANS
from tandem_orchestrator.store.statement import InsertInto, Statement
from tandem_orchestrator.store.tables import LEASES

BATCH_FIRST: Final = 10  # ranks
PARTS_THEN: Final = 11
SPANS_LAST: Final = 12

_B = BATCHES.c
_S = SPANS.c
_O = OUTCOMES.c
_L = LEASES.c
_NOW: Final = bindparam("now", type_=BigInteger)
UNFINISHED: Final = ("validating", "in_progress", "finalizing", "cancelling")
TOKENS: Final = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
SUMS: Final = ("completed", "failed", *TOKENS)

_THE_BATCH: Final = and_(_B.tenant == bindparam("tenant"), _B.id == bindparam("id"))
_ITS: Final = and_(_S.tenant == bindparam("tenant"), _S.batch_id == bindparam("batch_id"))
_OF_IT: Final = and_(_O.tenant == bindparam("tenant"), _O.batch_id == bindparam("batch_id"))
_MINE: Final = exists().where(_L.name == literal(LEASE), _L.owner == bindparam("owner"))

# For clients


def _total(column: ColumnElement[int]) -> ColumnElement[int]:
    """Return a sum as the number that it is: PostgreSQL makes a decimal of it."""
    return cast(func.coalesce(func.sum(column), 0), BigInteger)


COLUMNS: Final = tuple(_B)


def shown(*where: ColumnElement[bool]) -> Any:
    """Return the select of a tenant's batches: their columns, and what their outcomes make together.

    While a batch is in progress, these are sums over its outcomes; afterwards its own columns have them.
    """
    sums = [_total(_O[name]).label(name) for name in SUMS]
    of_tenant = select(_O.batch_id, *sums).where(_O.tenant == bindparam("tenant"), *where).group_by(_O.batch_id)
    found = of_tenant.subquery()

    def so_far(name: str) -> ColumnElement[Any]:
        ended = _B[name] if name in _B else literal(0)
        return case((_B.ended.is_(None), func.coalesce(found.c[name], 0)), else_=ended)

    joined = BATCHES.outerjoin(found, found.c.batch_id == _B.id)
    return select(*COLUMNS, *map(so_far, SUMS)).select_from(joined).where(_B.tenant == bindparam("tenant"))


ADD_BATCH: Final = Statement(
    insert(BATCHES)
    .from_select(
        [column.name for column in COLUMNS],
        select(*(bindparam(column.name, type_=column.type) for column in COLUMNS)).where(
            select(func.count())
            .select_from(BATCHES)
            .where(_B.tenant == bindparam("tenant"), or_(*(_B.status == status for status in UNFINISHED)))
            .scalar_subquery()
            < bindparam("most", type_=Integer)
        ),
    )
    .returning(_B.tenant, _B.id),
    rank=BATCH_FIRST,
)
"""Adds a batch while its tenant has fewer than `most` that are unfinished."""
GET_BATCH: Final = Statement(shown(_O.batch_id == bindparam("id")).where(_THE_BATCH))
PAGE_OF: Final = Statement(
    shown()
    .where(
        or_(bindparam("after", type_=_B.id.type) == "", _B.id < bindparam("after", type_=_B.id.type)),
    )
    .order_by(_B.id.desc())
    .limit(bindparam("limit"))
)
CANCEL_BATCH: Final = Statement(
    update(BATCHES)
    .where(_THE_BATCH, or_(_B.status == "validating", _B.status == "in_progress"))
    .values(status="cancelling", ending="cancelled", cancelling=bindparam("moment", type_=BigInteger))
    .returning(_B.tenant, _B.id),
    rank=BATCH_FIRST,
)

# For the process that works at them

ANY_UNFINISHED: Final = Statement(
    select(_B.tenant, _B.id, _B.status, _B.expires)
    .where(or_(*(_B.status == status for status in UNFINISHED)))
    .order_by(_B.created, _B.id)
)
ANY_WAITING: Final = Statement(select(_B.id).where(or_(*(_B.status == status for status in UNFINISHED))).limit(1))
BEGIN_BATCH: Final = Statement(
    update(BATCHES)
    .where(_THE_BATCH, _B.status == "validating", _MINE)
    .values(
        status="in_progress",
        began=bindparam("moment", type_=BigInteger),
        model=bindparam("new_model"),
        total=bindparam("new_total", type_=Integer),
    )
    .returning(_B.tenant, _B.id),
    rank=BATCH_FIRST,
)
REFUSE_BATCH: Final = Statement(
    update(BATCHES)
    .where(_THE_BATCH, _B.status == "validating", _MINE)
    .values(
        status="failed",
        ending="failed",
        ended=bindparam("moment", type_=BigInteger),
        errors=bindparam("new_errors"),
        total=bindparam("new_total", type_=Integer),
    )
    .returning(_B.tenant, _B.id),
    rank=BATCH_FIRST,
)
ANY_EXPIRE: Final = Statement(
    update(BATCHES)
    .where(
        _B.status == "in_progress",
        _B.expires <= _NOW,
        exists().where(_L.name == literal(LEASE), _L.owner == bindparam("owner")),
    )
    .values(status="finalizing", ending="expired", finalizing=bindparam("moment", type_=BigInteger))
    .returning(bindparam("owner", type_=_L.owner.type), _B.tenant, _B.id),
    rank=BATCH_FIRST,
    key=("owner",),
)
ANY_DONE: Final = Statement(
    update(BATCHES)
    .where(_B.status == "in_progress", ~exists().where(_S.tenant == _B.tenant, _S.batch_id == _B.id), _MINE)
    .values(status="finalizing", finalizing=bindparam("moment", type_=BigInteger))
    .returning(bindparam("owner", type_=_L.owner.type), _B.tenant, _B.id),
    rank=BATCH_FIRST,
    key=("owner",),
)
"""Ends those whose every line has its outcome."""
NOTE_FILES: Final = Statement(
    update(BATCHES)
    .where(_THE_BATCH, or_(_B.status == "finalizing", _B.status == "cancelling"), _MINE)
    .values(
        status=_B.ending,
        ended=bindparam("moment", type_=BigInteger),
        output_file=bindparam("new_output_file", type_=_B.output_file.type),
        error_file=bindparam("new_error_file", type_=_B.error_file.type),
        completed=bindparam("new_completed", type_=Integer),
        failed=bindparam("new_failed", type_=Integer),
        usage=bindparam("new_usage"),
        errors="[]",
    )
    .returning(_B.tenant, _B.id, _B.status),
    rank=BATCH_FIRST,
)
"""Ends a batch."""
NOTE_PROBLEM: Final = Statement(
    update(BATCHES)
    .where(_THE_BATCH, _B.ended.is_(None), _MINE)
    .values(errors=bindparam("new_errors"))
    .returning(_B.tenant, _B.id),
    rank=BATCH_FIRST,
)
ANY_OLD_BATCHES: Final = Statement(
    delete(BATCHES)
    .where(
        tuple_(_B.tenant, _B.id).in_(
            select(_B.tenant, _B.id).where(_B.ended < bindparam("before", type_=BigInteger)).limit(bindparam("most"))
        )
    )
    .returning(bindparam("before", type_=BigInteger)),
    rank=SPANS_LAST,
    key=("before",),
)

# Lines


def _while(status: str, values: Any) -> Any:
    """Return rows of `values` while a batch has a status and this process the lease, and hold both so."""
    held = select(*values).where(
        _B.tenant == bindparam("tenant"),
        _B.id == bindparam("batch_id"),
        _B.status == status,
        _L.name == literal(LEASE),
        _L.owner == bindparam("owner"),
    )
    return held.select_from(BATCHES, LEASES).with_for_update(read=True)


def _values(table: Any) -> dict[str, Any]:
    return {column.name: bindparam(column.name, type_=column.type) for column in table.columns}


_SPAN: Final = _values(SPANS)
ADD_SPAN: Final = Statement(
    insert(SPANS)
    .from_select(list(_SPAN), _while("validating", _SPAN.values()))
    .returning(_S.tenant, _S.batch_id, _S.number),
    rank=SPANS_LAST,
    key=("tenant", "batch_id", "number"),
)
SOME_SPANS: Final = Statement(
    select(_S.number, _S.lines)
    .where(_ITS, _S.number > bindparam("after", type_=Integer))
    .order_by(_S.number)
    .limit(bindparam("most"))
)
DONE_OF: Final = Statement(select(_O.done).where(_OF_IT, _O.span == bindparam("span", type_=Integer)))
_OUTCOME: Final = _values(OUTCOMES)


def _add_outcome(insert_into: InsertInto) -> Any:
    added = insert_into(OUTCOMES).from_select(list(_OUTCOME), _while("in_progress", _OUTCOME.values()))
    again = added.on_conflict_do_update(
        index_elements=["tenant", "batch_id", "span", "first"], set_={"first": added.excluded.first}
    )
    return again.returning(_O.tenant, _O.batch_id, _O.span)


ADD_OUTCOME: Final = Statement(_add_outcome, rank=PARTS_THEN, key=("tenant", "batch_id", "span"))
"""Adds what came of some lines; where it is there already, as nobody heard that it was committed, it stays."""
END_SPAN: Final = Statement(
    delete(SPANS)
    .where(
        _ITS,
        _S.number == bindparam("number", type_=Integer),
        exists().where(_B.tenant == _S.tenant, _B.id == _S.batch_id, _B.status == "in_progress"),
        _MINE,
    )
    .returning(_S.tenant, _S.batch_id, _S.number),
    rank=SPANS_LAST,
    key=("tenant", "batch_id", "number"),
)
SUMS_OF: Final = Statement(select(*(_total(_O[name]) for name in SUMS)).where(_OF_IT))
_AFTER: Final = tuple_(_O.span, _O.first) > tuple_(bindparam("span", type_=Integer), bindparam("first", type_=Integer))


def _texts(name: str) -> Statement:
    found = select(_O.span, _O.first, _O[name]).where(_OF_IT, _AFTER, _O[name] != "")
    return Statement(found.order_by(_O.span, _O.first).limit(bindparam("most")))


SOME_OUTPUT: Final = _texts("output")
SOME_ERRORS: Final = _texts("errors")


def _clear(table: Any, *where: ColumnElement[bool]) -> Statement:
    key = list(table.primary_key)
    its = and_(table.c.tenant == bindparam("tenant"), table.c.batch_id == bindparam("batch_id"), *where)
    some = select(*key).where(its).limit(bindparam("most"))
    return Statement(
        delete(table).where(tuple_(*key).in_(some)).returning(table.c.tenant, table.c.batch_id),
        rank=SPANS_LAST,
        key=("tenant", "batch_id"),
    )


_ENDED: Final = exists().where(_B.tenant == bindparam("tenant"), _B.id == bindparam("batch_id"), _B.ended.is_not(None))
DROP_SPANS: Final = _clear(
    SPANS,
    exists().where(_B.tenant == bindparam("tenant"), _B.id == bindparam("batch_id"), _B.began.is_(None)),
    _MINE,
)
"""Deletes lines of a batch that has not begun."""
CLEAR_SPANS: Final = _clear(SPANS, _ENDED)
CLEAR_OUTCOMES: Final = _clear(OUTCOMES, _ENDED)
"""Delete what a batch that has ended needs no longer."""
ANY_UNCLEARED: Final = Statement(
    select(_B.tenant, _B.id)
    .where(
        _B.ended.is_not(None),
        or_(
            exists().where(_S.tenant == _B.tenant, _S.batch_id == _B.id),
            exists().where(_O.tenant == _B.tenant, _O.batch_id == _B.id),
        ),
    )
    .limit(bindparam("most"))
)
ANY_LINES: Final = Statement(
    select(
        _total(_B.total),
        func.min(_B.created),
        select(_total(_O.completed + _O.failed))
        .where(exists().where(_B.tenant == _O.tenant, _B.id == _O.batch_id, _B.status == "in_progress"))
        .scalar_subquery(),
    ).where(or_(_B.status == "validating", _B.status == "in_progress"))
)
"""How many lines there are of batches that wait or are in progress, since when, and how many have an outcome."""
