"""Text as the API server takes it and as it is safe to show, whoever wrote it."""

import re
from collections.abc import Sequence
from typing import Final

LONGEST_REASON: Final = 1024
LONGEST_MESSAGE: Final = 32_768
"""Characters, as Kubernetes counts them in the text of a condition."""

_MOST_LISTED: Final = 8
_NO_PART_OF_A_REASON: Final = re.compile(r"[^A-Za-z0-9_,:]+")
_UNSPECIFIED: Final = "Unspecified"


def fitting_reason(text: str) -> str:
    """Return a reason as near to this text as Kubernetes admits."""
    reason = _NO_PART_OF_A_REASON.sub("_", text[:LONGEST_REASON]).strip("_,:").lstrip("_,:0123456789")
    return reason or _UNSPECIFIED


def fitting_message(text: str) -> str:
    """Return this text on one line, without what a terminal would obey, and cut where it is too long."""
    return shortened(printable(text[: LONGEST_MESSAGE + 1]), LONGEST_MESSAGE)


def printable(text: str) -> str:
    """Return text with a space for each character that is none to look at: line ends, escapes, halves of a pair.

    So nothing moves a terminal's cursor or turns its text around.
    """
    return text if text.isprintable() else "".join(each if each.isprintable() else " " for each in text)


def shortened(text: str, longest: int) -> str:
    """Return at most this many characters, with a mark where some are left out."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def listed(texts: Sequence[str]) -> str:
    """Return the first of these texts, and how many there are beside them."""
    more = f" and {len(texts) - _MOST_LISTED} more" if len(texts) > _MOST_LISTED else ""
    return f"{', '.join(texts[:_MOST_LISTED])}{more}"
