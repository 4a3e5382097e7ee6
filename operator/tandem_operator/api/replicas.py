"""How many pods there are."""

from typing import Annotated, ClassVar

from pydantic import Field

from tandem_operator.rules import Rule, Ruled

Pods = Annotated[int, Field(ge=1, le=1000)]


class ReplicaRange(Ruled):
    """Fewest and most pods."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.min <= self.max",
            holds=lambda replicas: replicas.min <= replicas.max,
            message="replicas.min must not be larger than replicas.max; lower min or raise max",
            field="min",
        ),
    )

    min: Pods = 2
    """Fewest pods. With min equal to max there is no autoscaler."""
    max: Pods = 10
    """Most pods."""

    @property
    def is_wide(self) -> bool:
        """Whether there is a range to scale in."""
        return self.min < self.max
