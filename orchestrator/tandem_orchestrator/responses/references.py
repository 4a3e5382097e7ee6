"""Puts in the place of references what they name."""

from collections.abc import Sequence
from typing import Final

import orjson

from tandem_orchestrator.errors import BadRequest, NotFound
from tandem_orchestrator.responses import ids
from tandem_orchestrator.responses.items import Item
from tandem_orchestrator.responses.store import ResponseStore

CALLS: Final = {"function_call_output": "function_call", "custom_tool_call_output": "custom_tool_call"}


def check_results(given: Sequence[Item], earlier: Sequence[Item]) -> None:
    """Check that each result in `given` is one of a call, unless calls may have been summed up. Raises `BadRequest`."""
    results = [(n, item) for n, item in enumerate(given) if item["type"] in CALLS]
    if not results:
        return
    items = [*earlier, *given]
    if any(item["type"] == "compaction" for item in items):
        return
    calls = {(item["type"], item.get("call_id") or item.get("id")) for item in items}
    for n, item in results:
        if (CALLS[item["type"]], item["call_id"]) not in calls:
            raise BadRequest(
                f"there is no call {item['call_id']!r} of which this could be the result", param=f"input.{n}.call_id"
            )


async def resolved(given: list[Item], earlier: Sequence[Item], store: ResponseStore, tenant: str) -> list[Item]:
    """Return `given` with the items that its references name, out of what came before or of a stored response.

    Raises `NotFound`.
    """
    if all(item["type"] != "item_reference" for item in given):
        return given
    known = {item["id"]: item for item in earlier}
    found = []
    for n, item in enumerate(given):
        if item["type"] == "item_reference":
            named = known.get(item["id"]) or await _stored(item["id"], store, tenant)
            if named is None:
                raise NotFound(f"there is no item {item['id']!r}", param=f"input.{n}.id", code="item_not_found")
            found.append(named)
        else:
            found.append(item)
    return found


async def _stored(item_id: str, store: ResponseStore, tenant: str) -> Item | None:
    owner = ids.owner_of(item_id)
    if owner is None:
        return None
    try:
        response = await store.get(tenant, owner)
    except NotFound:
        return None
    items = [*orjson.loads(response.input), *orjson.loads(response.output)]
    return next((item for item in items if item["id"] == item_id), None)
