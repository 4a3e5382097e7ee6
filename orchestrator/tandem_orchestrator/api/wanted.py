"""What a client wants of a list."""

from typing import Annotated, Literal

from fastapi import Depends, Query

from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.store.page import Page


def _page(
    after: str = "", limit: Annotated[int, Query(ge=1, le=100)] = 20, order: Literal["asc", "desc"] = "desc"
) -> Page:
    return Page(after, limit, order)


Wanted = Annotated[Page, Depends(_page)]


def _either_way(page: Wanted, before: str = "") -> Page:
    if page.after and before:
        raise BadRequest("a list can be read after an item or before one, not both", param="before")
    return page._replace(before=before)


Bidirectional = Annotated[Page, Depends(_either_way)]
"""The same, which may also be before an item."""
