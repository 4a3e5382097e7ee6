"""What orchestrators say at `/ready` of whether engines call tools; whatever they say is bounded here."""

import re
from dataclasses import dataclass
from typing import Any, Final

from tandem_operator.api.text import printable

QUERY: Final = "tool_calling"
"""The parameter that names an engine to be verified, and the field with what is found."""
_MOST: Final = 1_024
"""More than there may be replicas of all engines of a service."""
_LONGEST_NAME: Final = 64
_LONGEST_MESSAGE: Final = 1_024
_REASON: Final = re.compile(r"[A-Z][A-Za-z]+")


@dataclass(frozen=True)
class Verification:
    """What came back from one replica of an engine."""

    engine: str
    """Its name among the upstreams, which is its tier."""
    address: str
    verified: bool | None
    """None while nothing is known."""
    reason: str
    message: str


def verifications(said: object) -> tuple[Verification, ...]:
    """Return what was said of each replica. TypeError: it has another shape."""
    if not isinstance(said, list):
        raise TypeError(f"{QUERY} is no list")
    return tuple(_verification(each) for each in said[:_MOST])


def _verification(said: Any) -> Verification:
    if not isinstance(said, dict) or not isinstance(verified := said.get("verified"), bool | None):
        raise TypeError(f"{QUERY} has what is no verdict")
    engine, address = _text(said, "upstream", _LONGEST_NAME), _text(said, "address", _LONGEST_NAME)
    reason, message = _text(said, "reason", _LONGEST_NAME), _text(said, "message", _LONGEST_MESSAGE)
    if not _REASON.fullmatch(reason):
        raise TypeError(f"{QUERY} has a reason that is none")
    return Verification(engine, address, verified, reason, message)


def _text(said: dict[str, Any], name: str, longest: int) -> str:
    if not isinstance(text := said.get(name), str):
        raise TypeError(f"{QUERY} has a verdict without {name}")
    return printable(text)[:longest]
