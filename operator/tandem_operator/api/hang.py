"""A pod of an engine that hangs: it answers its probes, and does nothing for its requests."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Hang:
    """One such pod, and what is done about it."""

    uid: str
    """The pod's."""
    pod: str
    """Its name."""
    tier: str
    since: datetime
    due: datetime
    """When it is deleted, for its Deployment to make another."""
    problem: str = ""
    """Why it could not be deleted."""
