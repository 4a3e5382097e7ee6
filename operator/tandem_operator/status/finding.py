"""Why something is not ready, and how the cause is found: by policies, small pure functions that are tried in order."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

View = TypeVar("View")


@dataclass(frozen=True)
class Finding:
    """One cause, with its remedy."""

    reason: str
    message: str
    terminal: bool = False
    """Whether it stays until a person does something."""
    about_model: bool = False
    """Whether the model's source is to blame."""


Policy = Callable[[View], Finding | None]
"""Finds one cause in a view of what was observed, or nothing."""


def first_finding[View](chain: Iterable[Policy[View]], view: View) -> Finding | None:
    """Return what the first policy of a chain finds that finds something."""
    return next((finding for policy in chain if (finding := policy(view))), None)
