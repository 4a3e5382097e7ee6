"""What a client wants of a list."""

from typing import Annotated, Literal

from fastapi import Depends, Query

from tandem_orchestrator.store.page import Page


def _page(
    after: str = "", limit: Annotated[int, Query(ge=1, le=100)] = 20, order: Literal["asc", "desc"] = "desc"
) -> Page:
    return Page(after, limit, order)


Wanted = Annotated[Page, Depends(_page)]
