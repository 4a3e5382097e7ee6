"""`spec.rollout` and `status.rollout`: how a changed engine takes the place of the one that serves."""

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field, StringConstraints
from tandem_contract.config import Section

from tandem_operator.api.quantity import seconds
from tandem_operator.rules import Rule, Ruled

_JUDGED_SECONDS: Final = 300
"""For which a BlueGreen candidate has all requests before it is final, and each step of a Canary by default."""


class Strategy(StrEnum):
    """How pods of a changed engine come and the former ones go."""

    RECREATE = "Recreate"
    ROLLING_UPDATE = "RollingUpdate"
    BLUE_GREEN = "BlueGreen"
    CANARY = "Canary"


class Phase(StrEnum):
    """How far a roll-out is."""

    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    PROMOTING = "Promoting"
    COMPLETE = "Complete"
    ROLLED_BACK = "RolledBack"
    UNDONE = "Undone"
    UPDATE_PENDING = "UpdatePending"


class Step(Section):
    """A share of requests, and for how long the candidate has it."""

    weight: Annotated[int, Field(ge=1, le=100)]
    """Percent of requests that go to the candidate."""
    duration: Annotated[str, StringConstraints(pattern=r"^([0-9]{1,4}[hms]){1,3}$")]
    """How long, such as 5m."""

    @property
    def seconds(self) -> int:
        """How long, in seconds."""
        return seconds(self.duration)


class Thresholds(Section):
    """How much worse than the former engine a candidate may be."""

    error_ratio: Annotated[float, Field(ge=1, le=1000)] = 2
    """Most failed requests, as a multiple of the former engine's share, which counts as 1 % at least."""
    time_to_first_token_ratio: Annotated[float, Field(ge=1, le=1000)] = 2
    """Longest mean time to the first token, as a multiple of the former engine's."""
    min_requests: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    """Requests that each of them must have had to be compared."""


class RolloutSpec(Ruled):
    """How a changed engine takes the place of the one that serves."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.steps) || has(self.strategy) && self.strategy == 'Canary'",
            holds=lambda rollout: rollout.steps is None or rollout.strategy is Strategy.CANARY,
            message="rollout.steps are those of strategy Canary; set it, or leave them out",
            field="steps",
        ),
    )

    strategy: Strategy = Strategy.ROLLING_UPDATE
    """Recreate: all pods go first; RollingUpdate: one after another; BlueGreen: a whole second engine is made and gets
    all requests at once; Canary: it gets more and more of them. The last two need room for both engines."""
    max_surge: Annotated[int, Field(ge=0, le=64)] = 0
    """Pods that RollingUpdate makes before others go; 0 needs no spare accelerator."""
    steps: Annotated[list[Step], Field(min_length=1, max_length=16)] | None = None
    """Steps of a Canary. Default: 10 % for 5m, then 50 % for 5m."""
    thresholds: Thresholds = Thresholds()
    """When a candidate that gets requests is worse."""
    automatic_rollback: bool = True
    """Whether the former engine comes back where the new one does not become ready, or is worse."""
    paused: bool = False
    """Whether a roll-out stays where it is."""
    undo: bool = False
    """Whether the engine goes back to what it was before, and stays so until this is false."""
    take_updates: bool = False
    """Whether another release of the operator, which may start engines in another way, may restart them for it."""

    @property
    def tries(self) -> bool:
        """Whether a candidate is tried beside the engine that serves."""
        return self.strategy in (Strategy.BLUE_GREEN, Strategy.CANARY)

    @property
    def trial(self) -> tuple[tuple[int, int], ...]:
        """The weights that a candidate gets, in percent, and for how many seconds each."""
        if self.strategy is Strategy.BLUE_GREEN:
            return ((100, _JUDGED_SECONDS),)
        if self.steps is None:
            return ((10, _JUDGED_SECONDS), (50, _JUDGED_SECONDS))
        return tuple((step.weight, step.seconds) for step in self.steps)


class RolloutStatus(Section):
    """How far the main engine's roll-out is."""

    strategy: Strategy
    """How it is rolled out."""
    phase: Phase
    """How far that is."""
    step: int | None = None
    """Step of the candidate, from 1."""
    weight: int | None = None
    """Percent of requests that the candidate gets."""
    message: str
    """What happens, or why not, for people."""
    revision: str
    """Mark of what NAME-engine has, which is another for each change of its pods."""
