"""URIs that say where the files of a model or an adapter are."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import StringConstraints

from tandem_operator.rules import Rule

ObjectName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)
]
ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$", max_length=128)]
"""What clients write as `model`."""
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_@.-]+(/[A-Za-z0-9_@.-]+)*$", max_length=256)]
"""A file, relative to its source."""
_REPOSITORY: Final = r"^hf://[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*"
HF_PATTERN: Final = rf"{_REPOSITORY}(@[A-Za-z0-9][A-Za-z0-9._/-]*)?$"
HF_LATEST_PATTERN: Final = rf"{_REPOSITORY}$"
"""One without a revision."""
PVC_PATTERN: Final = r"^pvc://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(/[A-Za-z0-9_@.-]+)*/?$"
OCI_PATTERN: Final = (
    r"^oci://[a-z0-9][A-Za-z0-9._:-]*(/[a-z0-9][a-z0-9._-]*)+(:[A-Za-z0-9_][A-Za-z0-9._-]*)?(@sha256:[a-f0-9]{64})?$"
)
S3_PATTERN: Final = r"^s3://[a-z0-9][a-z0-9.-]*[a-z0-9](/[A-Za-z0-9_=.-]+)+/?$"
OLLAMA_PATTERN: Final = (
    r"^ollama://[a-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*(:[A-Za-z0-9_][A-Za-z0-9._-]*)?$"
)


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


@dataclass(frozen=True)
class OllamaModel:
    """A model of Ollama's library, or of a registry like it."""

    reference: str

    @property
    def name(self) -> str:
        """Served name when the spec gives none."""
        return self.reference


Source = HuggingFace | Claim | ImageVolume | Bucket | OllamaModel


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
    if scheme == "ollama":
        return OllamaModel(rest)
    return Bucket(f"s3://{rest}")


def form(scheme: str, pattern: str, shape: str) -> Rule:
    """Return a rule for how sources with a scheme are written."""
    prefix = f"{scheme}://"
    return of_source(
        cel=f"!self.source.startsWith('{prefix}') || self.source.matches(r'{pattern}')",
        holds=lambda source: not source.startswith(prefix) or bool(re.fullmatch(pattern, source)),
        message=f"model.source with {prefix} is written {shape}",
    )


def of_files(path: str, hf_pattern: str, hf_shape: str) -> Rule:
    """Return the rule for files that come beside a model, in a section which messages call by its `path`."""
    patterns = (hf_pattern, PVC_PATTERN, OCI_PATTERN)
    written = " || ".join(f"self.source.matches(r'{pattern}')" for pattern in patterns)
    return Rule(
        cel=f"({written}) && !self.source.contains('..')",
        holds=lambda files: any(re.fullmatch(p, files.source) for p in patterns) and ".." not in files.source,
        message=f"{path}.source must begin with hf://, pvc:// or oci://, written {hf_shape}, pvc://claim/folder or "
        "oci://registry/image:tag, and must not contain '..'",
        field="source",
    )


def of_source(cel: str, holds: Callable[[str], bool], message: str) -> Rule:
    """Return a rule for those models alone that have a source."""
    rule = Rule(cel, lambda model: holds(model.source), message, field="source")
    return rule.where("has(self.source)", lambda model: model.source is not None)
