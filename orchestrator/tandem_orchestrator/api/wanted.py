"""What a client wants of a list, and of the items in it."""

from typing import Annotated, Literal, NamedTuple

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


class Following(NamedTuple):
    """Whether a response's events are wanted, and after which number."""

    stream: bool
    after: int


def _following(
    stream: bool = False,  # noqa: FBT001, FBT002 # a query
    starting_after: Annotated[int, Query(ge=-1)] = -1,
) -> Following:
    return Following(stream, starting_after)


Followed = Annotated[Following, Depends(_following)]


def _include(
    include: Annotated[list[str] | None, Query()] = None,
    bracketed: Annotated[list[str] | None, Query(alias="include[]")] = None,  # as OpenAI's client writes it
) -> frozenset[str]:
    return frozenset((*(include or ()), *(bracketed or ())))


Included = Annotated[frozenset[str], Depends(_include)]
"""What is shown of items beyond what always is; names that mean nothing here are skipped."""
