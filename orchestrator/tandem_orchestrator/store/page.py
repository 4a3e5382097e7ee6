"""Pages of lists, as OpenAI has them."""

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from tandem_orchestrator.errors import BadRequest

Order = Literal["asc", "desc"]
MOST: Final = 100


class Page(NamedTuple):
    """What is wanted of a list: `limit` items after the one whose id is `after`."""

    after: str
    limit: int
    order: Order


def page_of(items: Sequence[dict[str, Any]], page: Page) -> dict[str, Any]:
    """Return a page of items that are all here, in the order of their making. Raises `BadRequest`."""
    found = list(items) if page.order == "asc" else list(reversed(items))
    if page.after:
        places = [n for n, item in enumerate(found) if item["id"] == page.after]
        if not places:
            raise BadRequest(f"there is no item {page.after!r} in this list", param="after")
        found = found[places[0] + 1 :]
    return page_with(found[: page.limit], has_more=len(found) > page.limit)


def page_with(items: Sequence[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """Return a page."""
    return {
        "object": "list",
        "data": list(items),
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
        "has_more": has_more,
    }
