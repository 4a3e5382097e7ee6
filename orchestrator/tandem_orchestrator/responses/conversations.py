"""Conversations: items that responses add to, kept until they are deleted or too old."""

from typing import Any, Final

import orjson

from tandem_orchestrator.errors import BadRequest, NotFound
from tandem_orchestrator.responses import ids, items
from tandem_orchestrator.responses.items import Item
from tandem_orchestrator.responses.store import conversation_not_found, conversation_steps, item_row
from tandem_orchestrator.store.database import Conflict
from tandem_orchestrator.store.ids import new
from tandem_orchestrator.store.metadata import metadata
from tandem_orchestrator.store.page import Page, page_with
from tandem_orchestrator.store.rows import NamedRows, Rows, now

MOST_ITEMS: Final = 20  # in one request, as at OpenAI
NOT_KEPT: Final = ("item_reference", "compaction_trigger")


class Conversations:
    """What clients do with conversations. Every call raises `DatabaseDown`, and those that add `StorageFull` too."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def create(self, tenant: str, body: dict[str, Any]) -> dict[str, Any]:
        """Begin one. Raises `BadRequest`."""
        texts, given = metadata(body.get("metadata")), _checked(body.get("items") or [])
        conversation_id, created = ids.conversation(), now()
        row = {
            "tenant": tenant,
            "id": conversation_id,
            "created": created,
            "used": created,
            "metadata": orjson.dumps(texts).decode(),
        }
        added = [item_row(tenant, conversation_id, item) for item in given]
        await self._rows.write(("ADD_CONVERSATION", [row]), ("ADD_ITEM", added))
        return _shown(conversation_id, created, texts)

    async def get(self, tenant: str, conversation_id: str) -> dict[str, Any]:
        """Return one. Raises `NotFound`."""
        rows = await self._rows.read("GET_CONVERSATION", tenant=tenant, id=conversation_id)
        if not rows:
            raise conversation_not_found(conversation_id)
        created, texts = rows[0]
        return _shown(conversation_id, created, orjson.loads(texts))

    async def update(self, tenant: str, conversation_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Change its metadata. Raises `BadRequest`, `NotFound`."""
        if "metadata" not in body:
            raise BadRequest("`metadata` is missing", param="metadata")
        texts = metadata(body["metadata"])
        row = {"tenant": tenant, "id": conversation_id, "new_metadata": orjson.dumps(texts).decode(), "now": now()}
        (changed,) = await self._write(conversation_id, ("SET_METADATA", [row]))
        if not changed:
            raise conversation_not_found(conversation_id)
        return _shown(conversation_id, changed[0][2], texts)

    async def delete(self, tenant: str, conversation_id: str) -> None:
        """Delete one with its items. Raises `NotFound`."""
        row = {"tenant": tenant, "id": conversation_id}
        (gone,) = await self._write(conversation_id, ("DELETE_CONVERSATION", [row]))
        if not gone:
            raise conversation_not_found(conversation_id)

    async def add_items(self, tenant: str, conversation_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Add items at its end, and return them as a page. Raises `BadRequest`, `NotFound`."""
        given = _checked(body.get("items"))
        if not given:
            raise BadRequest(f"`items` must be a list of 1 to {MOST_ITEMS} items", param="items")
        held, _ = await self._write(conversation_id, *conversation_steps(tenant, conversation_id, given))
        if not held:
            raise conversation_not_found(conversation_id)
        return page_with(given, has_more=False)

    async def page(self, tenant: str, conversation_id: str, page: Page) -> dict[str, Any]:
        """Return some of its items. Raises `BadRequest`, `NotFound`."""
        await self.get(tenant, conversation_id)
        if page.after:
            await self.item(tenant, conversation_id, page.after)
        rows = await self._rows.read(
            f"PAGE_{page.order.upper()}",
            tenant=tenant,
            conversation_id=conversation_id,
            after=page.after,
            limit=page.limit + 1,
        )
        found = [orjson.loads(row[0]) for row in rows]
        return page_with(found[: page.limit], has_more=len(found) > page.limit)

    async def item(self, tenant: str, conversation_id: str, item_id: str) -> Item:
        """Return one of its items. Raises `NotFound`."""
        rows = await self._rows.read("ITEM", tenant=tenant, conversation_id=conversation_id, id=item_id)
        if not rows:
            raise item_not_found(conversation_id, item_id)
        found: Item = orjson.loads(rows[0][0])
        return found

    async def delete_item(self, tenant: str, conversation_id: str, item_id: str) -> None:
        """Delete one of its items. Raises `NotFound`."""
        row = {"tenant": tenant, "conversation_id": conversation_id, "id": item_id}
        (gone,) = await self._write(conversation_id, ("DELETE_ITEM", [row]))
        if not gone:
            raise item_not_found(conversation_id, item_id)

    async def _write(self, conversation_id: str, *steps: NamedRows) -> list[Any]:
        try:
            return await self._rows.write(*steps)
        except Conflict:  # no conversation can have such an id
            raise conversation_not_found(conversation_id) from None


def item_not_found(conversation_id: str, item_id: str) -> NotFound:
    """Return the error for an item that the tenant's conversation does not have."""
    return NotFound(f"there is no item {item_id!r} in a conversation {conversation_id!r}", code="item_not_found")


def _checked(value: Any) -> list[Item]:
    """Return items with ids of their own."""
    if not isinstance(value, list) or len(value) > MOST_ITEMS:
        raise BadRequest(f"`items` must be a list of at most {MOST_ITEMS} items", param="items")
    found = items.checked(value, "items")
    owner = "_" + new()
    for n, item in enumerate(found):
        if item["type"] in NOT_KEPT:
            raise BadRequest(f"items of type {item['type']} cannot be kept", param=f"items.{n}.type")
    return [items.kept(item, ids.item(item["type"], owner, n)) for n, item in enumerate(found)]


def _shown(conversation_id: str, created: int, texts: dict[str, str]) -> dict[str, Any]:
    return {"id": conversation_id, "object": "conversation", "created_at": created // 1000, "metadata": texts}
