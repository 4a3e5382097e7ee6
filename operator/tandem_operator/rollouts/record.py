"""What is known of a roll-out, kept at the main engine's Deployment: an operator that starts anew goes on from it.

It is an annotation, and not read from the Deployment's ReplicaSets, as one write then changes the template together
with what is known of it, and as Kubernetes deletes old ReplicaSets.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from tandem_operator.api.outcomes import Outcome
from tandem_operator.rollouts.version import Version

ANNOTATION: Final = "tandem.dev/rollout"
VERSION: Final = "tandem.dev/rollout-version"
"""Annotation of a candidate's Deployment with the mark of its version."""
_LONGEST: Final = 200_000
"""Kubernetes keeps 262,144 bytes of annotations at an object."""


class Stage(StrEnum):
    """What a candidate is there for."""

    STARTING = "starting"
    """It becomes ready and gets no requests."""
    JUDGED = "judged"
    """It gets the share of its step."""
    FINAL = "final"
    """It gets all requests, which every orchestrator is to know before the Deployment changes."""
    STANDING_IN = "standing-in"
    """It gets all of them until the Deployment's own pods are ready."""
    LEAVING = "leaving"
    """It gets none any more, and goes once every orchestrator knows."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Trial(_Kept):
    """A candidate beside the engine that serves."""

    version: Version
    made: datetime
    """When it was made; pods from before are of another."""
    stage: Stage = Stage.STARTING
    step: int = 0
    since: datetime
    """When this stage or step began."""
    before: tuple[Outcome, ...] = ()
    """What orchestrators had counted then."""
    halted: bool = False
    """Whether it is paused: its step begins anew when it goes on."""


class Refused(_Kept):
    """A version that did not prove itself, and is not tried again."""

    inputs: str
    mark: str
    cause: str


class Record(_Kept):
    """What the Deployment has, had before, and is not to have again."""

    current: Version
    since: datetime
    """When it got it."""
    served: bool = False
    """Whether all its pods were ready since."""
    previous: Version | None = None
    """What served before."""
    refused: Refused | None = None
    undone: bool = False
    """Whether what the spec says was given up by `undo`."""
    trial: Trial | None = None


def read(deployment: Mapping[str, Any]) -> Record | None:
    """Return the record at a Deployment; None where there is none that is understood."""
    annotations = deployment["metadata"].get("annotations") or {}
    try:
        return Record.model_validate_json(annotations.get(ANNOTATION, ""))
    except ValidationError:
        return None


def written(record: Record) -> str:
    """Return the record as it is kept; one that is too long goes without what served before."""
    text = record.model_dump_json(exclude_defaults=True)
    if len(text.encode()) <= _LONGEST:
        return text
    return record.model_copy(update={"previous": None}).model_dump_json(exclude_defaults=True)
