"""A PersistentVolumeClaim that the operator makes."""

from typing import ClassVar

from tandem_operator.api.quantity import Quantity, number
from tandem_operator.api.source import ObjectName
from tandem_operator.rules import Rule, Ruled


class ClaimSpec(Ruled):
    """A PersistentVolumeClaim, which the operator makes and which goes with the LLMService."""

    # What has changed only the API server sees; the operator finds out when it writes the claim.
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="quantity(string(self.size)).isGreaterThan(quantity('0'))",
            holds=lambda claim: number(claim.size) > 0,
            message="size must be more than 0; write for example 1Gi",
            field="size",
        ),
        Rule(
            cel="!quantity(string(self.size)).isLessThan(quantity(string(oldSelf.size)))",
            holds=lambda _: True,
            message="size may only grow, as no volume can shrink; keep it or raise it",
            field="size",
        ),
        Rule(
            cel="has(self.storageClassName) == has(oldSelf.storageClassName)"
            " && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
            holds=lambda _: True,
            message="storageClassName must stay as it is: a claim keeps its class; "
            "make another LLMService for another class",
            field="storageClassName",
        ),
    )

    size: Quantity
    """Size of the volume. It may only grow, where its StorageClass lets volumes grow."""
    storage_class_name: ObjectName | None = None
    """StorageClass of the volume. Default: the cluster's own."""
