"""Where in a text a hit may still be open, of which one sees no more than its beginning."""

from collections.abc import Iterable, Sequence
from typing import Final

from tandem_contract.text_pattern import TextPattern

from tandem_orchestrator.guardrails.beginnings import beginnings

_MEMORY: Final = 24
"""MiB; what RE2 knows of everyday's texts takes a small part of it."""
FEW: Final = 4
"""Patterns of phrases that are held against a text at once: of more there are too many mixtures for RE2 to know."""


class Opening:
    """Patterns of which a text may have the beginning of a match at its end."""

    def __init__(self, patterns: Sequence[str], at_once: int) -> None:
        """Compile them. Raises `ValueError` for one that is not understood."""
        begun = [f"(?:{beginnings(each)})" for each in patterns]
        portions = (begun[at : at + at_once] for at in range(0, len(begun), at_once))
        self._begun: Final = tuple(TextPattern(f"(?:{'|'.join(some)})\\z", memory=_MEMORY) for some in portions)

    def first(self, data: bytes, begin: int) -> int:
        """Return the byte at which the first match begins, of those that further text may bring or make longer."""
        return min(next(pattern.spans(data, begin), (len(data),))[0] for pattern in self._begun)


def opening(patterns: Sequence[str]) -> Opening | None:
    """Return it for patterns of somebody's own, None where it cannot be told of them."""
    try:
        return Opening(patterns, FEW)
    except ValueError:
        return None


def parted(taken: Iterable[tuple[int, int]], at: int) -> int:
    """Return the last place up to `at` that no match is across which is `taken`: there a text can be parted in two, and
    the same is found in both as in the whole.
    """
    first = reach = 0
    for start, end in sorted(taken):
        if start >= at:
            break
        if start >= reach:
            first = start
        reach = max(reach, end)
    return first if reach > at else at
