"""Pages of lists, as OpenAI has them."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from tandem_orchestrator.errors import BadRequest

Order = Literal["asc", "desc"]


class Page(NamedTuple):
    """What is wanted of a list: `limit` items after the one whose id is `after`, or before that of `before`."""

    after: str
    limit: int
    order: Order
    before: str = ""

    @property
    def mark(self) -> str:
        """Where the database begins to read; "" for the list's start."""
        return self.after or self.before

    @property
    def asked(self) -> Literal["ASC", "DESC"]:
        """The order in which it reads: a page before a mark is read backwards from there."""
        forwards = self.order == "asc" if self.after or not self.before else self.order == "desc"
        return "ASC" if forwards else "DESC"

    def of(self, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the page of what the database found, which is one more than wanted where there are more."""
        kept = list(found[: self.limit])
        if self.before and not self.after:
            kept.reverse()
        return page_with(kept, has_more=len(found) > self.limit)


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
