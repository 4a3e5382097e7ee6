"""What looks into texts, and what it says of them."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Span(NamedTuple):
    """A part of a text in which something was found."""

    start: int
    end: int
    """Characters, as slices have them."""
    kind: str
    """What it is, e.g. email_address; a label of metrics, hence never a part of the text."""


class Finder(Protocol):
    """Finds by rules, in time in proportion to the text."""

    def find(self, text: str) -> Sequence[Span]:
        """Return what is in `text`, from front to back and without overlaps."""


class Judge(Protocol):
    """Asks somebody about a whole text."""

    async def judge(self, text: str) -> Sequence[str]:
        """Return the kinds of what is in `text`, none where it may go on. Raises `GatewayError` where nobody knows."""
