"""Where a model comes from, read from its URI."""

import re
from dataclasses import dataclass
from typing import Final

HF_PATTERN: Final = r"^hf://[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*(@[A-Za-z0-9][A-Za-z0-9._/-]*)?$"
PVC_PATTERN: Final = r"^pvc://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(/[A-Za-z0-9_@.-]+)*/?$"
OCI_PATTERN: Final = (
    r"^oci://[a-z0-9][A-Za-z0-9._:-]*(/[a-z0-9][a-z0-9._-]*)+(:[A-Za-z0-9_][A-Za-z0-9._-]*)?(@sha256:[a-f0-9]{64})?$"
)
S3_PATTERN: Final = r"^s3://[a-z0-9][a-z0-9.-]*[a-z0-9](/[A-Za-z0-9_=.-]+)+/?$"


@dataclass(frozen=True)
class HuggingFace:
    """A repository on the Hugging Face hub."""

    repository: str
    revision: str | None

    @property
    def name(self) -> str:
        """Served name when the spec gives none."""
        return self.repository


@dataclass(frozen=True)
class Claim:
    """A folder on a PersistentVolumeClaim of the same namespace."""

    claim: str
    path: str
    """Relative to the volume's root; empty means the root."""

    @property
    def name(self) -> str:
        """Served name when the spec gives none."""
        return (self.path or self.claim).rsplit("/", 1)[-1]


@dataclass(frozen=True)
class ImageVolume:
    """An OCI image (or artifact) that holds the model's files at its root."""

    reference: str

    @property
    def name(self) -> str:
        """Served name when the spec gives none."""
        return re.sub(r"[:@].*", "", self.reference.rsplit("/", 1)[-1])


@dataclass(frozen=True)
class Bucket:
    """A prefix in an S3-compatible object store."""

    uri: str

    @property
    def name(self) -> str:
        """Served name when the spec gives none."""
        return self.uri.rsplit("/", 1)[-1]


Source = HuggingFace | Claim | ImageVolume | Bucket


def parse(uri: str) -> Source:
    """Read a model URI that has passed the patterns above."""
    scheme, _, rest = uri.partition("://")
    rest = rest.rstrip("/")
    if scheme == "hf":
        repository, _, revision = rest.partition("@")
        return HuggingFace(repository, revision or None)
    if scheme == "pvc":
        claim, _, path = rest.partition("/")
        return Claim(claim, path)
    if scheme == "oci":
        return ImageVolume(rest)
    return Bucket(f"s3://{rest}")
