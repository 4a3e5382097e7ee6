"""What looks into texts, and what it says of them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable


class Span(NamedTuple):
    """A part of a text in which something was found."""

    start: int
    end: int
    """Characters, as slices have them."""
    kind: str
    """What it is, e.g. email_address; a label of metrics, hence never a part of the text."""


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return them from front to back; those that overlap are one, of the kind that begins first."""
    kept: list[Span] = []
    for span in sorted(spans):
        if kept and span.start < kept[-1].end:
            kept[-1] = kept[-1]._replace(end=max(span.end, kept[-1].end))
        else:
            kept.append(span)
    return kept


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


@runtime_checkable
class Telling(Protocol):
    """A finder that tells how much of a text it needs to see again once more of it comes."""

    def open(self, text: str, begin: int = 0) -> int:
        """Return a place, not before `begin`, at which `text` can be parted: what begins before it is known for sure,
        and what further text completes, makes longer or brings about begins there or later.
        """

    def find(self, text: str, begin: int = 0) -> Sequence[Span]:
        """Return what begins at `begin` or later, where the text can be parted; what is before is context."""


class Follower(Protocol):
    """Looks into one text that comes in pieces."""

    def find(self, text: str, start: int, begin: int, until: int) -> Sequence[Span]:
        """Return what is in a part of the text that begins at `start` in it; only what begins before `until`, counted
        in the part as spans are, is known for sure. Parts overlap: what is before `begin` is context.
        """


@runtime_checkable
class Following(Protocol):
    """A finder for which a whole text counts; its `longest` is of what it looks for in that."""

    def follow(self) -> Follower:
        """Return what looks into a text that comes in pieces."""


class Judge(Protocol):
    """Asks somebody about a whole text."""

    async def judge(self, text: str) -> Sequence[str]:
        """Return the kinds of what is in `text`, none where it may go on. Raises `GatewayError` where nobody knows."""
