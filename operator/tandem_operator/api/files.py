"""`spec.orchestrator.files`: where uploaded files are."""

from typing import ClassVar

from tandem_contract.config import FileSettings

from tandem_operator.api.claim import SharableClaim
from tandem_operator.api.source import ObjectName
from tandem_operator.rules import Rule, Ruled


class FilesSpec(FileSettings, Ruled):
    """Where uploaded files (`/v1/files`, `/v1/uploads`) are, and how much of them."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="[has(self.claim), has(self.claimName), has(self.s3)].filter(x, x).size() <= 1",
            holds=lambda files: [files.claim, files.claim_name, files.s3].count(None) >= 2,  # noqa: PLR2004
            message="orchestrator.files takes one of claim, claimName and s3; leave the others out",
        ),
    )

    claim: SharableClaim | None = None
    """Volume that the operator makes for the bytes."""
    claim_name: ObjectName | None = None
    """A PersistentVolumeClaim that is there, for the bytes; more than one pod needs one that is ReadWriteMany."""

    @property
    def has_volume(self) -> bool:
        """Whether the bytes are on a volume of their own."""
        return self.claim is not None or self.claim_name is not None
