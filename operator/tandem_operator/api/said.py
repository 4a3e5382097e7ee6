"""What orchestrators say of themselves at `/ready`."""

from dataclasses import dataclass
from typing import Self

from tandem_operator.api.tool_calling import Verification


@dataclass(frozen=True)
class Said:
    """What the orchestrators say of themselves, in lines."""

    degraded: tuple[str, ...] = ()
    """What they cannot use."""
    limitations: tuple[str, ...] = ()
    """What they cannot do though nothing is amiss, such as for want of a library in their image."""
    tool_calling: tuple[Verification, ...] = ()
    """What one of them has found of the replicas that are to call tools."""

    def __add__(self, other: Self) -> Self:
        """Return what both say."""
        return type(self)(
            self.degraded + other.degraded,
            self.limitations + other.limitations,
            self.tool_calling + other.tool_calling,
        )
