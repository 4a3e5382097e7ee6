"""What orchestrators say of themselves at `/ready`."""

from dataclasses import dataclass, field
from typing import Self

from tandem_contract.progress import Progress

from tandem_operator.api.outcomes import Outcome
from tandem_operator.api.tool_calling import Verification


@dataclass(frozen=True)
class AtWork:
    """How one replica of an engine gets on, as one orchestrator sees it."""

    address: str
    """Its IP address."""
    progress: Progress
    seconds: int
    """For which it has not moved though there was work."""


@dataclass(frozen=True)
class Said:
    """What the orchestrators say of themselves, in lines, and of the engines that they use."""

    degraded: tuple[str, ...] = ()
    """What they cannot use."""
    limitations: tuple[str, ...] = ()
    """What they cannot do though nothing is amiss, such as for want of a library in their image."""
    tool_calling: tuple[Verification, ...] = ()
    """What one of them has found of the replicas that are to call tools."""
    kv_tokens: tuple[tuple[str, int], ...] = ()
    """By the names of engines, for how many tokens a replica's cache has room."""
    at_work: tuple[AtWork, ...] = field(default=(), compare=False)
    """Replicas of engines that have work; different each time."""
    outcomes: tuple[Outcome, ...] = field(default=(), compare=False)
    """How the main engine's requests ended, and its candidate's."""

    @property
    def in_doubt(self) -> bool:
        """Whether one of them may hang."""
        return any(each.progress is not Progress.MOVES for each in self.at_work)

    def __add__(self, other: Self) -> Self:
        """Return what both say."""
        return type(self)(
            self.degraded + other.degraded,
            self.limitations + other.limitations,
            self.tool_calling + other.tool_calling,
            self.kv_tokens + other.kv_tokens,
            self.at_work + other.at_work,
            self.outcomes + other.outcomes,
        )
