"""What is asked of the database about files and uploads. Imported when it is first used, as it is SQL."""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    insert,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.sql.expression import tuple_

from tandem_orchestrator.files.tables import BLOBS, FILES, OWNER, PARTS, STORED, UPLOADS
from tandem_orchestrator.store.statement import InsertInto, Statement, Step

__all__ = ["Step"]

COUNTS_FIRST: Final = 5  # ranks
UPLOAD_NEXT: Final = 6
PARTS_THEN: Final = 7
BLOB_THEN: Final = 8
FILE_LAST: Final = 9

_B = BLOBS.c
_F = FILES.c
_U = UPLOADS.c
_P = PARTS.c
_S = STORED.c
_NOW: Final = bindparam("now", type_=BigInteger)
_BEFORE: Final = bindparam("before", type_=BigInteger)


def _of_tenant(table: Table) -> ColumnElement[bool]:
    return table.c.tenant == bindparam("tenant")


def _one(table: Table) -> ColumnElement[bool]:
    return and_(_of_tenant(table), table.c.id == bindparam("id"))


def _adding(table: Table, where: ColumnElement[bool], *, rank: int) -> Statement:
    """Return what adds a row where something holds, and returns its key then."""
    values = select(*(bindparam(column.name, type_=column.type) for column in table.columns)).where(where)
    columns = [column.name for column in table.columns]
    added = insert(table).from_select(columns, values)
    return Statement(added.returning(table.c.tenant, table.c.id), rank=rank)


# Counts


def _hold(insert_into: InsertInto) -> Any:
    held = insert_into(STORED).values(tenant=bindparam("tenant"), files=0, bytes=0)
    return held.on_conflict_do_update(index_elements=["tenant"], set_={"files": _S.files}).returning(_S.tenant)


HOLD: Final = Statement(_hold, rank=COUNTS_FIRST, key=("tenant",))
"""Holds back whoever else adds to what a tenant keeps, until the end of the transaction."""
STORED_OF: Final = Statement(select(_S.files, _S.bytes).where(_of_tenant(STORED)))
_MOST_FILES: Final = bindparam("most_files", type_=BigInteger)
_MOST_BYTES: Final = bindparam("most_bytes", type_=BigInteger)
_NO_MORE_BYTES: Final = _S.bytes + bindparam("bytes", type_=BigInteger) > _MOST_BYTES


def _within(exceeded: ColumnElement[bool]) -> ColumnElement[bool]:
    return ~exists().where(_of_tenant(STORED), exceeded)


# Files


def _keep_blob(insert_into: InsertInto) -> Any:
    added = insert_into(BLOBS).values({column.name: bindparam(column.name) for column in BLOBS.columns})
    touched = added.on_conflict_do_update(index_elements=["tenant", "digest"], set_={"touched": added.excluded.touched})
    return touched.returning(_B.tenant, _B.digest, _B.key)


KEEP_BLOB: Final = Statement(_keep_blob, rank=BLOB_THEN, key=("tenant", "digest"))
"""Adds bytes, or touches the same ones that are there; returns under which key they lie."""
MEND_BLOB: Final = Statement(
    update(BLOBS)
    .where(_of_tenant(BLOBS), _B.digest == bindparam("of_digest"), _B.key == bindparam("lost_key"))
    .values(key=bindparam("new_key"))
    .returning(_B.tenant, _B.digest, _B.key),
    rank=BLOB_THEN,
    key=("tenant", "of_digest", "new_key"),
)
"""Puts bytes that are there in the stead of those that are lost."""
ADD_FILE: Final = _adding(FILES, _within(or_(_S.files >= _MOST_FILES, _NO_MORE_BYTES)), rank=FILE_LAST)
"""Adds a file that fits into the tenant's quota."""
_LIVES: Final = or_(_F.expires.is_(None), _F.expires > _NOW)
_SHOWN: Final = (_F.id, _F.digest, _F.filename, _F.purpose, _F.bytes, _F.created, _F.expires)
GET_FILE: Final = Statement(
    select(*_SHOWN, _B.key).join(BLOBS, and_(_B.tenant == _F.tenant, _B.digest == _F.digest)).where(_one(FILES), _LIVES)
)


def _page(*, ascending: bool) -> Statement:
    after, purpose = bindparam("after", type_=_F.id.type), bindparam("purpose", type_=_F.purpose.type)
    beyond = _F.id > after if ascending else _F.id < after
    return Statement(
        select(*_SHOWN)
        .where(_of_tenant(FILES), _LIVES, or_(after == "", beyond), or_(purpose == "", _F.purpose == purpose))
        .order_by(_F.id if ascending else _F.id.desc())
        .limit(bindparam("limit"))
    )


PAGE_ASC: Final = _page(ascending=True)
PAGE_DESC: Final = _page(ascending=False)
DELETE_FILE: Final = Statement(delete(FILES).where(_one(FILES), _LIVES).returning(_F.tenant, _F.id), rank=FILE_LAST)

# Uploads

ADD_UPLOAD: Final = Statement(insert(UPLOADS), rank=UPLOAD_NEXT)
GET_UPLOAD: Final = Statement(
    select(_U.id, _U.filename, _U.purpose, _U.bytes, _U.created, _U.expires, _U.status, _U.file_seconds).where(
        _one(UPLOADS)
    )
)
_PENDING: Final = and_(_U.status == "pending", _U.expires > _NOW)


def _its_upload(*where: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(_of_tenant(UPLOADS), _U.id == bindparam("upload_id", type_=_U.id.type), *where)


ADD_PART: Final = _adding(PARTS, and_(_its_upload(_PENDING), _within(_NO_MORE_BYTES)), rank=PARTS_THEN)
"""Adds a part to an upload that is pending, if it fits into the tenant's quota."""
_THE_PARTS: Final = and_(_of_tenant(PARTS), _P.upload_id == bindparam("upload_id", type_=_P.upload_id.type))
PARTS_OF: Final = Statement(select(_P.id, _P.key, _P.digest, _P.bytes).where(_THE_PARTS))


CANCEL: Final = Statement(
    update(UPLOADS).where(_one(UPLOADS), _PENDING).values(status="cancelled").returning(_U.tenant, _U.id),
    rank=UPLOAD_NEXT,
)
COMPLETE: Final = Statement(
    update(UPLOADS)
    .where(_one(UPLOADS), _PENDING, _within(_S.files >= _MOST_FILES))
    .values(status="completed", file_id=bindparam("new_file_id", type_=_U.file_id.type))
    .returning(_U.tenant, _U.id, _U.file_id),
    rank=UPLOAD_NEXT,
    key=("tenant", "id", "new_file_id"),
)
"""Ends an upload, whose file is added then; what its parts have of the quota is the file's."""
DROP_PARTS: Final = Statement(
    delete(PARTS).where(_THE_PARTS, _its_upload(_U.status != "pending")).returning(_P.tenant, _P.upload_id, _P.key),
    rank=PARTS_THEN,
    key=("tenant", "upload_id"),
)
"""Takes the parts from an upload that has ended."""
ADD_COMPLETED: Final = _adding(
    FILES, exists().where(_of_tenant(UPLOADS), _U.file_id == bindparam("id", type_=_F.id.type)), rank=FILE_LAST
)
"""Adds the file of an upload that `COMPLETE` has ended."""

# What is swept


def _some(table: Table, where: ColumnElement[bool]) -> ColumnElement[bool]:
    key = list(table.primary_key)
    return tuple_(*key).in_(select(*key).where(where).limit(bindparam("most")))


def _swept(table: Table, where: ColumnElement[bool], *columns: ColumnElement[Any], rank: int = FILE_LAST) -> Statement:
    gone = delete(table).where(_some(table, where)).returning(_BEFORE, *columns)
    return Statement(gone, rank=rank, key=("before",))


ANY_EXPIRED_FILES: Final = _swept(FILES, _F.expires <= _BEFORE, _F.tenant, _F.id)
ANY_OLD_FILES: Final = _swept(FILES, _F.created < _BEFORE, _F.tenant, _F.id)
_LATE: Final = exists().where(_U.tenant == _P.tenant, _U.id == _P.upload_id, _U.expires <= _BEFORE)
ANY_LATE_PARTS: Final = _swept(PARTS, _LATE, _P.key, rank=PARTS_THEN)
_WITHOUT_PARTS: Final = ~exists().where(_P.tenant == _U.tenant, _P.upload_id == _U.id)
ANY_LATE_UPLOADS: Final = _swept(UPLOADS, and_(_U.expires <= _BEFORE, _WITHOUT_PARTS), rank=UPLOAD_NEXT)
_UNUSED: Final = ~exists().where(_F.tenant == _B.tenant, _F.digest == _B.digest)
ANY_UNUSED_BLOBS: Final = Statement(
    delete(BLOBS)
    .where(_some(BLOBS, and_(_B.touched < _BEFORE, _UNUSED)), _B.touched < _BEFORE)
    .returning(_BEFORE, _B.key),
    rank=BLOB_THEN,
    key=("before",),
)
"""Deletes what no file has. One that a file comes to have meanwhile has been touched, which is looked at again."""


def _known(column: ColumnElement[str]) -> Any:
    first, last = bindparam("first", type_=column.type), bindparam("last", type_=column.type)
    return select(column).where(column >= first, column <= last)


ANY_KEYS: Final = Statement(union_all(_known(_B.key), _known(_P.key)))
"""The keys of all bytes that have a row, of a range."""
ANY_OWNER: Final = Statement(select(OWNER.c.id))
