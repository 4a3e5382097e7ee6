"""`spec.orchestrator.files`: where uploaded files are."""

from enum import StrEnum
from typing import ClassVar

from pydantic import Field
from tandem_contract.config import FileSettings

from tandem_operator.api.claim import ClaimSpec
from tandem_operator.api.source import ObjectName
from tandem_operator.rules import Rule, Ruled


class AccessMode(StrEnum):
    """Who may write to a volume."""

    READ_WRITE_ONCE = "ReadWriteOnce"
    READ_WRITE_MANY = "ReadWriteMany"


class FilesClaim(ClaimSpec):
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


class FilesSpec(FileSettings, Ruled):
    """Where uploaded files (`/v1/files`, `/v1/uploads`) are, and how much of them."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="[has(self.claim), has(self.claimName), has(self.s3)].filter(x, x).size() <= 1",
            holds=lambda files: [files.claim, files.claim_name, files.s3].count(None) >= 2,  # noqa: PLR2004
            message="orchestrator.files takes one of claim, claimName and s3; leave the others out",
        ),
    )

    claim: FilesClaim | None = None
    """Volume that the operator makes for the bytes."""
    claim_name: ObjectName | None = None
    """A PersistentVolumeClaim that is there, for the bytes; more than one pod needs one that is ReadWriteMany."""

    @property
    def has_volume(self) -> bool:
        """Whether the bytes are on a volume of their own."""
        return self.claim is not None or self.claim_name is not None
