"""`model.cache`: a volume that a model is fetched into once, for all who run it."""

from enum import StrEnum
from typing import ClassVar

from tandem_operator.api.claim import AccessMode, SharableClaim
from tandem_operator.api.source import ObjectName
from tandem_operator.rules import Rule, Ruled


class Eviction(StrEnum):
    """What a cache without room does."""

    NEVER = "Never"
    WHEN_FULL = "WhenFull"


class CacheSpec(Ruled):
    """A volume that holds the model's files. A Job fetches them; engines read them, and ask the hub for nothing."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.claim) != has(self.claimName)",
            holds=lambda cache: (cache.claim is None) != (cache.claim_name is None),
            message="model.cache takes one of claim and claimName",
        ),
    )

    claim: SharableClaim | None = None
    """Volume that the operator makes."""
    claim_name: ObjectName | None = None
    """A PersistentVolumeClaim that is there; services that name the same one and the same revision share its files."""
    eviction: Eviction = Eviction.NEVER
    """WhenFull: where a model finds no room, those that no LLMService of the namespace names or runs are deleted, first
    the one that was wanted longest ago."""

    @property
    def is_on_one_node(self) -> bool:
        """Whether its volume is known to be for the pods of one node alone."""
        return self.claim is not None and AccessMode.READ_WRITE_MANY not in self.claim.access_modes
