"""Where responses and conversations are kept. Every row that is read or written is of one tenant."""

import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import orjson

from tandem_orchestrator.errors import BadRequest, NotFound
from tandem_orchestrator.responses.items import Item
from tandem_orchestrator.store.database import Conflict, Database

if TYPE_CHECKING:
    from tandem_orchestrator.store.statement import Job, Row, Rows, Statement, Step

CONTINUABLE: Final = ("completed", "incomplete")


@dataclass(slots=True)
class Stored:
    """A response as it is kept; `resource`, `input` and `output` are JSON."""

    tenant: str
    id: str
    previous_id: str | None
    conversation_id: str | None
    status: str
    resource: str
    input: str
    output: str
    compacted: bool = False


class ResponseStore:
    """Reads and writes rows. Every call raises `DatabaseDown`, and those that write `StorageFull` too."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def chain(self, tenant: str, response_id: str) -> list[Item]:
        """Return all items of a response and of what it continues, in order. Raises `NotFound`, `BadRequest`."""
        rows = await self._read("CHAIN", tenant=tenant, id=response_id)
        if not rows:
            raise previous_not_found(response_id)
        status = rows[-1][1]
        if status not in CONTINUABLE:
            raise BadRequest(
                f"the response {response_id!r} is {status}; only one that has ended well can be continued",
                param="previous_response_id",
                code="previous_response_not_completed",
            )
        return _joined([text for row in rows for text in row[2:4]])

    async def conversation_items(self, tenant: str, conversation_id: str) -> list[Item]:
        """Return all items of a conversation, in order. Raises `NotFound`."""
        rows = await self._read("ALL_ITEMS", tenant=tenant, id=conversation_id)
        if not rows:
            raise conversation_not_found(conversation_id)
        texts = [row[2] for row in rows if row[2] is not None]
        items: list[Item] = orjson.loads(f"[{','.join(texts)}]")
        return items

    async def add(self, response: Stored, items: Sequence[Item] = ()) -> None:
        """Keep a response that has ended; in a conversation, `items` are added to its end.

        Raises `NotFound` if what it continues has gone meanwhile.
        """
        sql = _statements()
        parameters = self._parameters(response)
        if response.conversation_id is None:
            await self._write_child(response, [_step(sql.ADD, parameters)])
            return
        where = {"tenant": response.tenant, "id": response.conversation_id, "now": parameters["created"]}
        job = [_step(sql.HOLD_CONVERSATION, where), _step(sql.ADD_IN_CONVERSATION, parameters)]
        if items:
            job.append(_steps(sql.ADD_ITEM, [_item_row(response.tenant, response.conversation_id, i) for i in items]))
        held = await self._database.write(job)
        if not held[0]:
            raise conversation_not_found(response.conversation_id)

    async def get(self, tenant: str, response_id: str) -> Stored:
        """Return a response. Raises `NotFound`."""
        rows = await self._read("GET", tenant=tenant, id=response_id)
        if not rows:
            raise response_not_found(response_id)
        status, resource, output, given, previous_id, conversation_id = rows[0]
        return Stored(tenant, response_id, previous_id, conversation_id, status, resource, given, output)

    async def delete(self, tenant: str, response_id: str) -> None:
        """Delete a response; what others continue is kept for them alone. Raises `NotFound`."""
        sql = _statements()
        where = {"tenant": tenant, "id": response_id}
        hidden, _ = await self._database.write([_step(sql.HIDE, where), _step(sql.REMOVE, where)])
        if not hidden:
            raise response_not_found(response_id)

    async def _write_child(self, response: Stored, job: "Job") -> None:
        try:
            await self._database.write(job)
        except Conflict:  # the database's own rule keeps chains whole
            if response.previous_id is None:
                raise
            raise previous_not_found(response.previous_id) from None

    def _parameters(self, response: Stored) -> dict[str, Any]:
        size = len(response.resource) + len(response.input) + len(response.output)
        return {
            "tenant": response.tenant,
            "id": response.id,
            "previous_id": response.previous_id,
            "conversation_id": response.conversation_id,
            "created": now(),
            "status": response.status,
            "hidden": False,
            "compacted": response.compacted,
            "resource": response.resource,
            "input": response.input,
            "output": response.output,
            "bytes": size,
        }

    async def _read(self, statement: str, **parameters: Any) -> "list[Row]":
        return await self._database.read(_step(getattr(_statements(), statement), parameters))


def now() -> int:
    """Return milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def response_not_found(response_id: str) -> NotFound:
    """Return the error for a response that the tenant does not have."""
    return NotFound(f"there is no response {response_id!r}", code="response_not_found")


def previous_not_found(response_id: str) -> NotFound:
    """Return the error for a response that cannot be continued, as it is not there."""
    return NotFound(
        f"there is no response {response_id!r} to continue",
        param="previous_response_id",
        code="previous_response_not_found",
    )


def conversation_not_found(conversation_id: str) -> NotFound:
    """Return the error for a conversation that the tenant does not have."""
    return NotFound(f"there is no conversation {conversation_id!r}", param="conversation", code="conversation_not_found")


def _joined(lists: Sequence[str]) -> list[Item]:
    """Return the items of several lists in JSON, read at once."""
    items: list[Item] = orjson.loads("[" + ",".join([text[1:-1] for text in lists if text != "[]"]) + "]")
    return items


def _item_row(tenant: str, conversation_id: str, item: Item) -> dict[str, Any]:
    text = orjson.dumps(item).decode()
    return {"tenant": tenant, "conversation_id": conversation_id, "id": item["id"], "item": text, "bytes": len(text)}


def _step(statement: "Statement", parameters: dict[str, Any]) -> "Step":
    return _statements().Step(statement, (parameters,))


def _steps(statement: "Statement", parameters: Sequence[dict[str, Any]]) -> "Step":
    return _statements().Step(statement, parameters)


def _statements() -> ModuleType:
    from tandem_orchestrator.responses import statements  # noqa: PLC0415 # as `store.database` says

    return statements
