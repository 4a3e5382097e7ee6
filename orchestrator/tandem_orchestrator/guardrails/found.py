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

    @property
    def longest(self) -> int | None:
        """Characters by which a hit is known, invisible ones not counted; None: nobody can tell.

        A hit may be longer: then its first `longest` characters are one by themselves, and found with what follows they
        show how far it goes. So who reads a text in pieces needs this many characters of each place at once.
        """

    def find(self, text: str) -> Sequence[Span]:
        """Return what is in `text`, from front to back and without overlaps."""


class Judge(Protocol):
    """Asks somebody about a whole text."""

    async def judge(self, text: str) -> Sequence[str]:
        """Return the kinds of what is in `text`, none where it may go on. Raises `GatewayError` where nobody knows."""
