"""How large a pattern or a grammar becomes once what it repeats is written as often as it may come.

Dialects differ in what they know, and hardly in how they count and group, which is all that is read here. Where they
may read brackets, quotes or comments differently, the larger reading counts.
"""

import re
from typing import Final

DEEPEST: Final = 64
"""Groups in each other; what has more has no size."""

_DIGITS: Final = 9
_ENDLESS: Final = 10**_DIGITS
_COUNT: Final = r"\{\s*(\d*)\s*(?:,\s*(\d*)\s*)?\}"
_TIMES: Final = rf"{_COUNT}|~\s*(\d+)(?:\s*\.\.\s*(\d+))?"
_PATTERN: Final = re.compile(rf"\\.|\[\^?(?:\\.|[^\[\]\\])+\]|{_COUNT}|.", re.DOTALL)
_GRAMMAR: Final = re.compile(rf'"(?:\\.|[^"\\\n])*"|\[\^?(?:\\.|[^\[\]\\\n])+\]|[\w-]+|{_TIMES}|\S')
_REPEATED: Final = re.compile(_TIMES)
_UNREAD: Final = frozenset("[]")
"""Left over where a list of characters is none that all dialects end at the same place."""


def pattern_size(pattern: str, most: int) -> int:
    """Return about how many states a regular expression has; something above `most` for all that has more."""
    return _size(_PATTERN, pattern, _UNREAD, most)


def grammar_size(grammar: str, most: int) -> int:
    """Return the same of a grammar in EBNF, GBNF or Lark; a rule counts where it is written, not where it is used."""
    return _size(_GRAMMAR, grammar, _UNREAD | {"/"}, most)  # Lark's patterns, which may hold a quote


def _size(piece: re.Pattern[str], text: str, unread: frozenset[str], most: int) -> int:
    outer: list[int] = []
    total = last = 0
    for match in piece.finditer(text):
        found = match[0]
        if match.lastindex:
            times = _times(match)
            total, last = total + last * (times - 1) + 1, last * times
        elif found == "(":
            outer.append(total)
            total = last = 1
        elif found == ")":
            last = total
            total += outer.pop() if outer else 0
        elif found in unread:
            return _product(text, most)
        else:
            total, last = total + 1, 1
        if total > most or len(outer) > DEEPEST:
            return most + 1
    return total + sum(outer)


def _product(text: str, most: int) -> int:
    """Return what `text` has at most, wherever its groups begin and end."""
    size = len(text)
    for match in _REPEATED.finditer(text):
        size *= _times(match)
        if size > most:
            break
    return size


def _times(match: re.Match[str]) -> int:
    counts = [int(digits) if len(digits) <= _DIGITS else _ENDLESS for digits in match.groups() if digits]
    return max(1, *counts) if counts else 1
