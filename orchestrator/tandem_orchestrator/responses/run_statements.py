"""What is asked of the database about responses in the making, their events, and who may do what. See `statements`."""

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)

from tandem_orchestrator.responses.statements import CHANGE_THEN, PARTS_LAST, add_item
from tandem_orchestrator.responses.tables import CONVERSATIONS, EVENTS, RESPONSES, RUNS, SEALS
from tandem_orchestrator.store.lease_statements import lives
from tandem_orchestrator.store.statement import InsertInto, Statement

RUN_LAST: Final = PARTS_LAST + 1  # ranks: whose run it is has to be known to what comes before

NOBODY: Final[ColumnElement[str]] = literal_column("''")

_R = RESPONSES.c
_RUN = RUNS.c
_E = EVENTS.c


def _mine(tenant: ColumnElement[str], response_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Return whether a response is still made by `owner`."""
    return exists().where(_RUN.tenant == tenant, _RUN.id == response_id, _RUN.owner == bindparam("owner"))


_THE_RUN: Final = and_(_RUN.tenant == bindparam("tenant"), _RUN.id == bindparam("id"))
_MY_RUN: Final = and_(_THE_RUN, _RUN.owner == bindparam("owner"))
_UNFINISHED: Final = and_(
    _R.tenant == bindparam("tenant"), _R.id == bindparam("id"), or_(_R.status == "queued", _R.status == "in_progress")
)
_CHANGED: Final = ("status", "resource", "output", "compacted", "bytes")

# The responses themselves

_conversation_id = bindparam("conversation_id", type_=CONVERSATIONS.columns.id.type)
FINISH: Final = Statement(
    update(RESPONSES)
    .where(
        _UNFINISHED,
        _mine(_R.tenant, _R.id),
        or_(
            _conversation_id.is_(None),
            exists().where(CONVERSATIONS.columns.tenant == _R.tenant, CONVERSATIONS.columns.id == _conversation_id),
        ),
    )
    .values({name: bindparam(f"new_{name}") for name in _CHANGED})
    .returning(_R.tenant, _R.id),
    rank=CHANGE_THEN,
)
"""Changes a response that its owner makes, while the conversation is there to which it adds its items."""
ADD_ITEM_OF_MINE: Final = add_item(_mine(bindparam("tenant"), bindparam("response_id")))
"""The same as `ADD_ITEM`, for a response that its owner makes."""
STOP: Final = Statement(
    update(RESPONSES)
    .where(_UNFINISHED)
    .values(status=bindparam("new_status"), resource=bindparam("new_resource"))
    .returning(_R.tenant, _R.id),
    rank=CHANGE_THEN,
)
"""Ends a response, whoever makes it."""

# Runs

RUN_COLUMNS: Final = [column.name for column in RUNS.columns]


def _enqueue() -> Statement:
    """Return what queues a response, one behind its tenant's last, and where that is served already, as the next one.

    So the tenants take turns, however much one of them has queued.
    """
    mine = select(func.coalesce(func.max(_RUN.turn), 0) + 1).where(
        _RUN.tenant == bindparam("tenant"), _RUN.owner == NOBODY
    )
    next_one = select(func.coalesce(func.min(_RUN.turn), 0)).where(_RUN.owner == NOBODY)
    own, other = mine.scalar_subquery(), next_one.scalar_subquery()
    values: dict[str, Any] = {
        name: bindparam(name, type_=RUNS.columns[name].type) for name in RUN_COLUMNS if name != "turn"
    }
    values["turn"] = case((own > other, own), else_=other)
    return Statement(insert(RUNS).from_select(list(values), select(*values.values())), rank=CHANGE_THEN)


ENQUEUE: Final = _enqueue()
ADD_RUN: Final = Statement(insert(RUNS), rank=CHANGE_THEN)
STEP: Final = Statement(
    update(RUNS)
    .where(_MY_RUN)
    .values(events=bindparam("new_events"), in_tools=bindparam("new_in_tools"))
    .returning(_RUN.tenant, _RUN.id),
    rank=RUN_LAST,
)
RELEASE: Final = Statement(
    update(RUNS)
    .where(_MY_RUN)
    .values(owner=NOBODY, due=bindparam("new_due"), attempts=bindparam("new_attempts"))
    .returning(_RUN.tenant, _RUN.id),
    rank=RUN_LAST,
)
"""Puts a run back into the queue, where it was."""
ABANDON: Final = Statement(
    update(RUNS).where(_MY_RUN).values(owner=NOBODY).returning(_RUN.tenant, _RUN.id), rank=RUN_LAST
)
END_RUN: Final = Statement(
    delete(RUNS)
    .where(
        _MY_RUN,
        ~exists().where(
            _R.tenant == _RUN.tenant, _R.id == _RUN.id, or_(_R.status == "queued", _R.status == "in_progress")
        ),
    )
    .returning(_RUN.tenant, _RUN.id),
    rank=RUN_LAST,
)
"""Ends the run of a response that has ended."""
DROP_RUN: Final = Statement(delete(RUNS).where(_THE_RUN).returning(_RUN.tenant, _RUN.id), rank=RUN_LAST)
QUEUED_OF: Final = Statement(
    select(func.coalesce(func.max(_RUN.turn) - func.min(_RUN.turn) + 1, 0)).where(
        _RUN.tenant == bindparam("tenant"), _RUN.owner == NOBODY
    )
)
"""How many a tenant has queued, at most; far more than there are, once one has waited while others came and went."""
COUNT_QUEUED_OF: Final = Statement(
    select(func.count()).select_from(
        select(_RUN.id)
        .where(_RUN.tenant == bindparam("tenant"), _RUN.owner == NOBODY)
        .limit(bindparam("most"))
        .subquery()
    )
)
ANY_OF_OWNER: Final = Statement(select(_RUN.tenant, _RUN.id).where(_RUN.owner == bindparam("owner")))
ANY_IN_QUEUE: Final = Statement(select(_RUN.id).where(_RUN.owner == NOBODY).limit(1))
ANY_QUEUED: Final = Statement(select(func.count(), func.min(_RUN.queued)).where(_RUN.owner == NOBODY))


def _take(wanted: ColumnElement[bool]) -> Statement:
    first = select(_RUN.tenant, _RUN.id).where(wanted).order_by(_RUN.turn).limit(bindparam("most"))
    found = first.with_for_update(skip_locked=True).cte("found")  # not a subquery, which might be run again
    return Statement(
        update(RUNS)
        .where(tuple_(_RUN.tenant, _RUN.id).in_(select(found.c.tenant, found.c.id)))
        .values(owner=bindparam("new_owner"), attempts=_RUN.attempts + 1)
        .returning(
            _RUN.owner, _RUN.tenant, _RUN.id, _RUN.attempts, _RUN.queued, _RUN.request, _RUN.events, _RUN.in_tools
        ),
        rank=RUN_LAST,
        key=("new_owner",),
    )


_absent = bindparam("absent", type_=RUNS.columns.model.type)
ANY_CLAIM: Final = _take(
    and_(
        _RUN.owner == NOBODY,
        _RUN.due <= bindparam("now"),
        func.replace(_absent, literal("|") + _RUN.model + "|", "") == _absent,
    )
)
"""Takes what is due, but for the models in `absent`, each between two bars."""
_left = or_(
    and_(_RUN.owner == NOBODY, _RUN.queued < bindparam("expired")),
    and_(
        _RUN.owner != NOBODY,
        ~lives(_RUN.owner),
    ),
)
ANY_IS_LEFT: Final = Statement(select(_RUN.id).where(_left).limit(1))
ANY_LEFT: Final = _take(_left)
"""Takes what the processes that are gone were making, and what has been queued for too long."""

# Events

_E_VALUES: Final = {column.name: bindparam(column.name, type_=column.type) for column in EVENTS.columns}


def _add_events(insert_into: InsertInto) -> Any:
    mine = _mine(bindparam("tenant"), bindparam("response_id"))
    statement = insert_into(EVENTS).from_select(list(_E_VALUES), select(*_E_VALUES.values()).where(mine))
    return statement.on_conflict_do_update(
        index_elements=["tenant", "response_id", "first"],
        set_={"last": statement.excluded.last, "events": statement.excluded.events},
    )


ADD_EVENTS: Final = Statement(_add_events, rank=PARTS_LAST, key=("tenant", "response_id"))
"""Adds events; those that begin where others did take their place, as they were written again with more."""
EVENTS_AFTER: Final = Statement(
    select(_E.first, _E.last, _E.events)
    .where(_E.tenant == bindparam("tenant"), _E.response_id == bindparam("id"), _E.last > bindparam("after"))
    .order_by(_E.first)
    .limit(64)
)
LAST_EVENT: Final = Statement(
    select(func.coalesce(func.max(_E.last), -1)).where(
        _E.tenant == bindparam("tenant"), _E.response_id == bindparam("id")
    )
)
ANY_OLD_EVENTS: Final = Statement(
    delete(EVENTS)
    .where(
        tuple_(_E.tenant, _E.response_id, _E.first).in_(
            select(_E.tenant, _E.response_id, _E.first)
            .where(
                _E.made < bindparam("before"),
                ~exists().where(_RUN.tenant == _E.tenant, _RUN.id == _E.response_id),
            )
            .limit(bindparam("most"))
        )
    )
    .returning(bindparam("before", type_=_E.made.type)),
    rank=PARTS_LAST,
    key=("before",),
)

# Seals

ANY_SEALS: Final = Statement(select(SEALS.c.id, SEALS.c.key).order_by(SEALS.c.created.desc(), SEALS.c.id))
ANY_ADD_SEAL: Final = Statement(insert(SEALS), rank=PARTS_LAST, key=("id",))
