"""What is asked of the database about responses and conversations. Imported when it is first used, as it is SQL."""

from typing import Final

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    true,
    tuple_,
    update,
)

from tandem_orchestrator.responses.tables import (
    CONVERSATION_ITEMS,
    CONVERSATIONS,
    RESPONSES,
    STORED,
)
from tandem_orchestrator.store.statement import Statement, Step

__all__ = ["Step"]

CONVERSATION_FIRST: Final = 1  # ranks
RESPONSE_NEXT: Final = 2
CHANGE_THEN: Final = 3
PARTS_LAST: Final = 4

_R = RESPONSES.c
_C = CONVERSATIONS.c
_I = CONVERSATION_ITEMS.c


def _of_tenant(table_columns: object) -> ColumnElement[bool]:
    return table_columns.tenant == bindparam("tenant")  # type: ignore[attr-defined, no-any-return]


def _one(table_columns: object) -> ColumnElement[bool]:
    return and_(_of_tenant(table_columns), table_columns.id == bindparam("id"))  # type: ignore[attr-defined]


# Responses

ADD: Final = Statement(insert(RESPONSES), rank=RESPONSE_NEXT)
GET: Final = Statement(
    select(_R.status, _R.resource, _R.output, _R.input, _R.previous_id, _R.conversation_id).where(
        _one(_R), _R.hidden.is_(False)
    )
)
"""A response, for whoever may see it."""


def _chain() -> Select[tuple[str, str, str, str]]:
    first = (
        select(_R.tenant, _R.id, _R.previous_id, _R.status, _R.compacted, literal(0).label("depth"))
        .where(_one(_R), _R.hidden.is_(False))
        .cte("chain", recursive=True)
    )
    before = RESPONSES.alias("before")
    chain = first.union_all(
        select(
            before.c.tenant, before.c.id, before.c.previous_id, before.c.status, before.c.compacted, first.c.depth + 1
        ).where(before.c.tenant == first.c.tenant, before.c.id == first.c.previous_id, first.c.compacted.is_(False))
    )
    return (
        select(_R.id, chain.c.status, _R.input, _R.output)
        .where(_R.tenant == chain.c.tenant, _R.id == chain.c.id)  # not of a parameter, or SQLite reads all of a tenant
        .order_by(chain.c.depth.desc())
    )


CHAIN: Final = Statement(_chain())
"""A response and those that it continues, the oldest first, back to the one that holds all before it."""


def _hide() -> Statement:
    return Statement(
        update(RESPONSES)
        .where(_one(_R), _R.hidden.is_(False))
        .values(hidden=True, resource="{}")
        .returning(_R.tenant, _R.id),
        rank=RESPONSE_NEXT,
    )


HIDE: Final = _hide()
"""Takes a response from its client's sight."""


def _without_children(columns: object) -> ColumnElement[bool]:
    child = RESPONSES.alias("child")
    return ~exists().where(child.c.tenant == columns.tenant, child.c.previous_id == columns.id)  # type: ignore[attr-defined]


def _remove() -> Statement:
    """Return what deletes a hidden response that nothing continues, and those before it that are left so."""
    last = select(_R.tenant, _R.id, _R.previous_id).where(_one(_R), _R.hidden.is_(True), _without_children(_R))
    gone = last.cte("gone", recursive=True)
    before, child = RESPONSES.alias("before"), RESPONSES.alias("one")
    children = (
        select(func.count())
        .select_from(child)
        .where(child.c.tenant == bindparam("tenant"), child.c.previous_id == before.c.id)
        .scalar_subquery()
    )
    gone = gone.union_all(
        select(before.c.tenant, before.c.id, before.c.previous_id).where(
            before.c.tenant == gone.c.tenant,
            before.c.id == gone.c.previous_id,
            before.c.hidden.is_(True),
            children == 1,
        )
    )
    return Statement(
        delete(RESPONSES).where(_of_tenant(_R), _R.id.in_(select(gone.c.id))).returning(_R.tenant, _R.id),
        rank=PARTS_LAST,
    )


REMOVE: Final = _remove()

# Conversations

ADD_CONVERSATION: Final = Statement(insert(CONVERSATIONS), rank=CONVERSATION_FIRST)
GET_CONVERSATION: Final = Statement(select(_C.created, _C.metadata).where(_one(_C)))
SET_METADATA: Final = Statement(
    update(CONVERSATIONS)
    .where(_one(_C))
    .values(metadata=bindparam("new_metadata"), used=bindparam("now"))
    .returning(_C.tenant, _C.id, _C.created),
    rank=CONVERSATION_FIRST,
)
DELETE_CONVERSATION: Final = Statement(
    delete(CONVERSATIONS).where(_one(_C)).returning(_C.tenant, _C.id), rank=CONVERSATION_FIRST
)
HOLD_CONVERSATION: Final = Statement(
    update(CONVERSATIONS).where(_one(_C)).values(used=bindparam("now")).returning(_C.tenant, _C.id),
    rank=CONVERSATION_FIRST,
)
"""Holds other writers of a conversation back; returns nothing where there is none."""


def _there(conversation_id: str) -> ColumnElement[bool]:
    return exists().where(_of_tenant(_C), _C.id == bindparam(conversation_id))


ADD_IN_CONVERSATION: Final = Statement(
    insert(RESPONSES)
    .from_select(
        [column.name for column in RESPONSES.columns],
        select(*(bindparam(column.name, type_=column.type) for column in RESPONSES.columns)).where(
            _there("conversation_id")
        ),
    )
    .returning(_R.tenant, _R.id),
    rank=RESPONSE_NEXT,
)
"""Adds a response whose conversation is still there."""


def add_item(where: ColumnElement[bool]) -> Statement:
    """Return what adds an item at a conversation's end, if it is still there."""
    last = (
        select(func.coalesce(func.max(_I.position), -1) + 1)
        .where(_of_tenant(_I), _I.conversation_id == bindparam("conversation_id"))
        .scalar_subquery()
    )
    values = {
        "tenant": bindparam("tenant", type_=_I.tenant.type),
        "conversation_id": bindparam("conversation_id", type_=_I.conversation_id.type),
        "id": bindparam("id", type_=_I.id.type),
        "position": last,
        "item": bindparam("item", type_=_I.item.type),
        "bytes": bindparam("bytes", type_=_I.bytes.type),
    }
    found = select(*values.values()).where(_there("conversation_id"), where)
    return Statement(
        insert(CONVERSATION_ITEMS).from_select(list(values), found).returning(_I.tenant, _I.conversation_id),
        rank=PARTS_LAST,
        key=("tenant", "conversation_id"),
    )


ADD_ITEM: Final = add_item(true())
"""Adds an item at a conversation's end; `HOLD_CONVERSATION` runs before it."""
ALL_ITEMS: Final = Statement(
    select(_C.id, _I.id, _I.item)
    .select_from(CONVERSATIONS.outerjoin(CONVERSATION_ITEMS, and_(_I.tenant == _C.tenant, _I.conversation_id == _C.id)))
    .where(_one(_C))
    .order_by(_I.position)
)
"""A conversation's items, or one row without an item; no row where there is no conversation."""
ITEM: Final = Statement(
    select(_I.item).where(_of_tenant(_I), _I.conversation_id == bindparam("conversation_id"), _I.id == bindparam("id"))
)
DELETE_ITEM: Final = Statement(
    delete(CONVERSATION_ITEMS)
    .where(_of_tenant(_I), _I.conversation_id == bindparam("conversation_id"), _I.id == bindparam("id"))
    .returning(_I.tenant, _I.id),
    rank=PARTS_LAST,
)


def _page(ascending: bool) -> Statement:  # noqa: FBT001 # a table of two
    after = (
        select(_I.position)
        .where(_of_tenant(_I), _I.conversation_id == bindparam("conversation_id"), _I.id == bindparam("after"))
        .scalar_subquery()
    )
    beyond = _I.position > after if ascending else _I.position < after
    return Statement(
        select(_I.item)
        .where(
            _of_tenant(_I),
            _I.conversation_id == bindparam("conversation_id"),
            (bindparam("after", type_=_I.id.type) == "") | beyond,
        )
        .order_by(_I.position if ascending else _I.position.desc())
        .limit(bindparam("limit"))
    )


PAGE_ASC: Final = _page(ascending=True)
PAGE_DESC: Final = _page(ascending=False)
STORED_OF: Final = Statement(select(STORED.c.responses, STORED.c.bytes).where(_of_tenant(STORED.c)))
"""What a tenant keeps."""

# Retention

_BEFORE: Final = bindparam("before", type_=_R.created.type)


def _hide_old() -> Statement:
    old = select(_R.tenant, _R.id).where(_R.created < _BEFORE, _R.hidden.is_(False), _ended()).limit(bindparam("most"))
    hidden = update(RESPONSES).where(tuple_(_R.tenant, _R.id).in_(old)).values(hidden=True, resource="{}")
    return Statement(hidden.returning(_BEFORE), rank=RESPONSE_NEXT, key=("before",))


def _remove_old() -> Statement:
    old = (
        select(_R.tenant, _R.id)
        .where(_R.created < _BEFORE, _R.hidden.is_(True), _without_children(_R))
        .limit(bindparam("most"))
    )
    removed = delete(RESPONSES).where(tuple_(_R.tenant, _R.id).in_(old))
    return Statement(removed.returning(_BEFORE), rank=PARTS_LAST, key=("before",))


def _old_conversations() -> Statement:
    old = select(_C.tenant, _C.id).where(_C.used < _BEFORE).limit(bindparam("most"))
    removed = delete(CONVERSATIONS).where(tuple_(_C.tenant, _C.id).in_(old))
    return Statement(removed.returning(_BEFORE), rank=CONVERSATION_FIRST, key=("before",))


def _ended() -> ColumnElement[bool]:
    return and_(_R.status != "queued", _R.status != "in_progress")


ANY_HIDE_OLD: Final = _hide_old()
ANY_REMOVE_OLD: Final = _remove_old()
"""Deletes what is old and continued by nothing; what comes before it is the next time's."""
ANY_OLD_CONVERSATIONS: Final = _old_conversations()
