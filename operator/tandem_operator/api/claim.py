"""A PersistentVolumeClaim that the operator makes."""

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from tandem_operator.api.quantity import Quantity, number
from tandem_operator.api.source import ObjectName
from tandem_operator.rules import Rule, Ruled


class AccessMode(StrEnum):
    """Who may write to a volume."""

    READ_WRITE_ONCE = "ReadWriteOnce"
    READ_WRITE_MANY = "ReadWriteMany"


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


class SharableClaim(ClaimSpec):
    """A PersistentVolumeClaim, which the operator makes and which goes with the LLMService."""

    rules: ClassVar[tuple[Rule, ...]] = (
        *ClaimSpec.rules,
        Rule(
            cel="has(self.accessModes) == has(oldSelf.accessModes)"
            " && (!has(self.accessModes) || self.accessModes == oldSelf.accessModes)",
            holds=lambda _: True,
            message="accessModes must stay as they are: a claim keeps its own; "
            "make another claim and name it in claimName",
            field="accessModes",
        ),
    )

    access_modes: list[AccessMode] = Field(default=[AccessMode.READ_WRITE_ONCE], min_length=1, max_length=2)
    """How the volume may be used; more than one pod needs ReadWriteMany."""
