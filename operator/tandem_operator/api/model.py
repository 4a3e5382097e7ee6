"""`spec.model`: what is served, and where it comes from."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from pydantic import Field, StringConstraints

from tandem_operator.rules import Rule, Ruled

ObjectName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)
]
HF_PATTERN: Final = r"^hf://[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*(@[A-Za-z0-9][A-Za-z0-9._/-]*)?$"
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


def _form(scheme: str, pattern: str, shape: str) -> Rule:
    prefix = f"{scheme}://"
    return _of_source(
        cel=f"!self.source.startsWith('{prefix}') || self.source.matches(r'{pattern}')",
        holds=lambda source: not source.startswith(prefix) or bool(re.fullmatch(pattern, source)),
        message=f"model.source with {prefix} is written {shape}",
    )


def _of_source(cel: str, holds: Callable[[str], bool], message: str) -> Rule:
    """Return a rule for those models alone that have a source."""
    rule = Rule(cel, lambda model: holds(model.source), message, field="source")
    return rule.where("has(self.source)", lambda model: model.source is not None)


class ModelCredentials(Ruled):
    """Secret that opens the model's source."""

    secret_name: ObjectName
    """Secret in the same namespace. For hf:// it has the key HF_TOKEN; for s3:// AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY, and may have AWS_SESSION_TOKEN, AWS_ENDPOINT_URL and AWS_REGION; for oci:// it is of type
    kubernetes.io/dockerconfigjson."""


class ModelSpec(Ruled):
    """The model and where its files are."""

    rules: ClassVar[tuple[Rule, ...]] = (
        _of_source(
            cel="self.source.matches('^(hf|pvc|oci|s3|ollama)://')",
            holds=lambda source: bool(re.match("^(hf|pvc|oci|s3|ollama)://", source)),
            message="model.source must begin with hf://, pvc://, oci://, s3:// or ollama://, "
            "for example hf://Qwen/Qwen2.5-0.5B-Instruct",
        ),
        _form("hf", HF_PATTERN, "hf://org/name or hf://org/name@revision"),
        _form("pvc", PVC_PATTERN, "pvc://claim or pvc://claim/folder"),
        _form("oci", OCI_PATTERN, "oci://registry/image:tag or oci://registry/image@sha256:digest"),
        _form("s3", S3_PATTERN, "s3://bucket/prefix"),
        _form("ollama", OLLAMA_PATTERN, "ollama://name:tag"),
        _of_source(
            cel="!self.source.contains('..')",
            holds=lambda source: ".." not in source,
            message="model.source must not contain '..'; name the folder itself",
        ),
        Rule(
            cel="!has(self.file) || !self.file.contains('..')",
            holds=lambda model: ".." not in (model.file or ""),
            message="model.file must not contain '..'; name the file within the source",
            field="file",
        ),
        Rule(
            cel="!has(self.credentials) || (has(self.source) && !self.source.matches('^(pvc|ollama)://'))",
            holds=lambda model: model.credentials is None or model.has_source("^(hf|oci|s3)://"),
            message="model.credentials has no use with pvc:// and ollama://, nor without model.source; remove it",
            field="credentials",
        ),
    )

    source: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Where the model's files are: `hf://org/name[@revision]` on the Hugging Face hub, `pvc://claim[/folder]` on a
    PersistentVolumeClaim, `oci://registry/image:tag` in an image that holds the files at its root (mounted as an image
    volume, Kubernetes 1.36 or later), `s3://bucket/prefix` in an S3-compatible store, or `ollama://name:tag` in
    Ollama's library. docs/engines.md says which engine loads what. An external engine alone has none."""
    file: (
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_@.-]+(/[A-Za-z0-9_@.-]+)*$", max_length=256)] | None
    ) = None
    """The one file in the source that is loaded, for engines that load one, such as model-Q4_K_M.gguf."""
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$", max_length=128)] | None = None
    """Name that clients write as `model`. Default: the last part of the source, with its organisation for hf://.
    An external engine needs it: the name by which it serves the model."""
    credentials: ModelCredentials | None = None
    """Secret that opens the source; not needed for public models."""

    def has_source(self, pattern: str) -> bool:
        """Return whether the source begins as a pattern says."""
        return bool(re.match(pattern, self.source or ""))

    @property
    def parsed_source(self) -> Source:
        """The source, read; the rules see to it that who asks has one."""
        return parse(self.source or "")

    @property
    def served_name(self) -> str:
        """Name that clients write."""
        return self.name or self.parsed_source.name


class MainModelSpec(ModelSpec):
    """The main engine's model and where its files are."""

    fallback: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Name in additionalEngines of the engine that answers while no replica of the main one can: it restarts, loads its
    model or fails before its first byte. Default: none, so that requests wait."""
