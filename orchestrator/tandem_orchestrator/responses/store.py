"""Where responses and conversations are kept. Every row that is read or written is of one tenant."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tandem_orchestrator.errors import BadRequest, NotFound
from tandem_orchestrator.responses.items import Item, shown
from tandem_orchestrator.responses.resource import whole
from tandem_orchestrator.store.database import Conflict
from tandem_orchestrator.store.rows import NamedRows, Rows, now

CONTINUABLE: Final = ("completed", "incomplete")
SEARCHED: Final = '"file_search_call"'
"""Is in the JSON of items of which not everything is always shown."""


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

    def whole(self, include: frozenset[str] = frozenset()) -> bytes:
        """Return it as its client gets it, in JSON."""
        output = self.output.encode()
        if SEARCHED in self.output:
            output = orjson.dumps([shown(item, include) for item in orjson.loads(output)])
        return whole(self.resource.encode(), output)


class ResponseStore:
    """Keeps responses. Every call raises `DatabaseDown`, and those that write `StorageFull` too."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def check(self) -> None:
        """Raise `DatabaseDown` if it is known that nothing can be kept."""
        await self._rows.check()

    async def chain(self, tenant: str, response_id: str) -> list[Item]:
        """Return all items of a response and of what it continues, in order. Raises `NotFound`, `BadRequest`."""
        rows = await self._rows.read("CHAIN", tenant=tenant, id=response_id)
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
        rows = await self._rows.read("ALL_ITEMS", tenant=tenant, id=conversation_id)
        if not rows:
            raise conversation_not_found(conversation_id)
        texts = [row[2] for row in rows if row[2] is not None]
        items: list[Item] = orjson.loads(f"[{','.join(texts)}]")
        return items

    async def add(self, response: Stored, items: Sequence[Item] = ()) -> None:
        """Keep a response that has ended; in a conversation, `items` are added to its end.

        Raises `NotFound` if what it continues has gone meanwhile.
        """
        tenant, conversation_id, row = response.tenant, response.conversation_id, row_of(response)
        if conversation_id is None:
            await adding(response, self._rows.write(("ADD", [row])))
            return
        hold, add = conversation_steps(tenant, conversation_id, items)
        _, added, _ = await self._rows.write(hold, ("ADD_IN_CONVERSATION", [row]), add)
        if not added:
            raise conversation_not_found(conversation_id)

    async def get(self, tenant: str, response_id: str) -> Stored:
        """Return a response. Raises `NotFound`."""
        rows = await self._rows.read("GET", tenant=tenant, id=response_id)
        if not rows:
            raise response_not_found(response_id)
        status, resource, output, given, previous_id, conversation_id = rows[0]
        return Stored(tenant, response_id, previous_id, conversation_id, status, resource, given, output)

    async def delete(self, tenant: str, response_id: str) -> None:
        """Delete a response; what others continue is kept for them alone. Raises `NotFound`."""
        where = [{"tenant": tenant, "id": response_id}]
        steps = ("HIDE", where), ("REMOVE", where)
        try:
            hidden, _ = await self._rows.write(*steps)
        except Conflict:  # it has been continued meanwhile, which is seen now
            hidden = await self._again(*steps)
        if not hidden:
            raise response_not_found(response_id)

    async def _again(self, *steps: NamedRows) -> Any:
        try:
            return (await self._rows.write(*steps))[0]
        except Conflict:  # no response can have such an id
            return []


async def adding(response: Stored, written: Awaitable[Any]) -> None:
    """Wait until a new response is written. Raises `NotFound` if what it continues has gone."""
    try:
        await written
    except Conflict:  # the database's own rule keeps chains whole
        if response.previous_id is None:
            raise
        raise previous_not_found(response.previous_id) from None


def conversation_steps(tenant: str, conversation_id: str, items: Sequence[Item]) -> tuple[NamedRows, NamedRows]:
    """Return what holds other writers of a conversation back, and what adds items at its end."""
    return (
        ("HOLD_CONVERSATION", [{"tenant": tenant, "id": conversation_id, "now": now()}]),
        ("ADD_ITEM", [item_row(tenant, conversation_id, item) for item in items]),
    )


def item_row(tenant: str, conversation_id: str, item: Item) -> dict[str, Any]:
    """Return an item of a conversation as its table has it."""
    text = orjson.dumps(item).decode()
    return {"tenant": tenant, "conversation_id": conversation_id, "id": item["id"], "item": text, "bytes": len(text)}


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
    return NotFound(
        f"there is no conversation {conversation_id!r}", param="conversation", code="conversation_not_found"
    )


def _joined(lists: Sequence[str]) -> list[Item]:
    """Return the items of several lists in JSON, read at once."""
    items: list[Item] = orjson.loads("[" + ",".join([text[1:-1] for text in lists if text != "[]"]) + "]")
    return items


def row_of(response: Stored) -> dict[str, Any]:
    """Return a response as its table has it."""
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
        "bytes": len(response.resource) + len(response.input) + len(response.output),
    }
