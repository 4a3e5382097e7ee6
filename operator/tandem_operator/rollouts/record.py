"""What is known of a roll-out, kept in a ConfigMap of its own: an operator that starts anew goes on from it.

It is written before anything is done, and all else follows from it. It is no annotation of the Deployment, as any new
one of those makes Kubernetes look at its roll-out again, and holds no templates of this size; nor is it read from the
ReplicaSets, as Kubernetes deletes old ones and knows nothing of candidates.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from tandem_operator.api.outcomes import Outcome
from tandem_operator.rollouts.version import Version

KEY: Final = "record.json"
"""The ConfigMap's only key."""
VERSION: Final = "tandem.dev/rollout-version"
"""Annotation of an engine's Deployment with the mark of its version."""


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
    """What the Deployment has or is about to get, had before, and is not to have again."""

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

    @property
    def models(self) -> list[str]:
        """The sources of fetched models that pods may run: the former version's until the present one has served."""
        versions = (self.current, None if self.served else self.previous, self.trial and self.trial.version)
        return sorted({each.source for each in versions if each and each.source})


def name(engine: str) -> str:
    """Return the ConfigMap's name, by that of the main engine's Deployment."""
    return f"{engine}-rollout"


def read(config_map: Mapping[str, Any]) -> Record | None:
    """Return the record in a ConfigMap; None where there is none that is understood."""
    try:
        return Record.model_validate_json((config_map.get("data") or {}).get(KEY, ""))
    except ValidationError:
        return None


def written(record: Record) -> dict[str, str]:
    """Return the record as the ConfigMap's data."""
    return {KEY: record.model_dump_json(exclude_defaults=True)}
