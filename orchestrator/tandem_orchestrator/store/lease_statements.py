"""What is asked of the database about leases."""

from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, delete, exists, literal, or_

from tandem_orchestrator.store.leases import PROCESS
from tandem_orchestrator.store.statement import InsertInto, Statement
from tandem_orchestrator.store.tables import LEASES

LAST: Final = 10  # rank: whoever holds one waits for nobody

_L = LEASES.c


def lives(owner: ColumnElement[str]) -> ColumnElement[bool]:
    """Return whether a process is there at the moment `now`."""
    return exists().where(_L.name == literal(PROCESS) + owner, _L.until >= bindparam("now"))


def _hold(insert_into: InsertInto) -> Any:
    statement = insert_into(LEASES).values({name: bindparam(name) for name in ("name", "owner", "until")})
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["name"],
        set_={"owner": new.owner, "until": new.until},
        where=or_(_L.owner == new.owner, _L.until < bindparam("now")),
    ).returning(_L.name)


ANY_HOLD: Final = Statement(_hold, rank=LAST, key=("name",))
"""Takes a lease, or goes on with it; returns nothing while another one has it."""
ANY_LET_GO: Final = Statement(
    delete(LEASES).where(_L.name == bindparam("name"), _L.owner == bindparam("owner")).returning(_L.name),
    rank=LAST,
    key=("name",),
)
ANY_LAPSED: Final = Statement(
    delete(LEASES).where(_L.until < bindparam("before")).returning(bindparam("before", type_=_L.until.type)),
    rank=LAST,
    key=("before",),
)
