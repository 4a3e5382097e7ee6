"""`spec.model`: what is served, and where it comes from."""

import re
from typing import Annotated, ClassVar

from pydantic import Field

from tandem_operator.api.adapter import AdapterSpec
from tandem_operator.api.cache import CacheSpec
from tandem_operator.api.quantity import Quantity
from tandem_operator.api.source import (
    HF_PATTERN,
    OCI_PATTERN,
    OLLAMA_PATTERN,
    PVC_PATTERN,
    S3_PATTERN,
    FileName,
    ModelName,
    ObjectName,
    Source,
    form,
    of_source,
    parse,
)
from tandem_operator.rules import Rule, Ruled


class ModelCredentials(Ruled):
    """Secret that opens the model's source."""

    secret_name: ObjectName
    """Secret in the same namespace. For hf:// it has the key HF_TOKEN; for s3:// AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY, and may have AWS_SESSION_TOKEN, AWS_ENDPOINT_URL and AWS_REGION; for oci:// it is of type
    kubernetes.io/dockerconfigjson."""


class ModelFigures(Ruled):
    """What sizing asks of a model, for one whose files it cannot look at."""

    weights: Quantity
    """Size of the weights' files."""
    layers: Annotated[int, Field(ge=1, le=2048)]
    """Layers of the model."""
    attention_heads: Annotated[int, Field(ge=1, le=4096)]
    """Attention heads, which tensor parallelism divides."""
    kv_heads: Annotated[int, Field(ge=1, le=4096)]
    """Heads of keys and values."""
    kv_bytes_per_token: Annotated[int, Field(ge=1, le=2**30)]
    """Bytes that all layers keep of a token."""
    context_length: Annotated[int, Field(ge=1, le=2**30)]
    """Longest context in tokens that the model was made for."""
    vocabulary_size: Annotated[int, Field(ge=1, le=2**24)] = 200_000
    """Different tokens."""


class ModelSpec(Ruled):
    """The model and where its files are."""

    rules: ClassVar[tuple[Rule, ...]] = (
        of_source(
            cel="self.source.matches('^(hf|pvc|oci|s3|ollama)://')",
            holds=lambda source: bool(re.match("^(hf|pvc|oci|s3|ollama)://", source)),
            message="model.source must begin with hf://, pvc://, oci://, s3:// or ollama://, "
            "for example hf://Qwen/Qwen2.5-0.5B-Instruct",
        ),
        form("hf", HF_PATTERN, "hf://org/name or hf://org/name@revision"),
        form("pvc", PVC_PATTERN, "pvc://claim or pvc://claim/folder"),
        form("oci", OCI_PATTERN, "oci://registry/image:tag or oci://registry/image@sha256:digest"),
        form("s3", S3_PATTERN, "s3://bucket/prefix"),
        form("ollama", OLLAMA_PATTERN, "ollama://name:tag"),
        of_source(
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
        Rule(
            cel="!has(self.cache) || has(self.source) && self.source.startsWith('hf://') && (!has(self.adapters)"
            " || !self.adapters.exists(a, a.source.startsWith('hf://')))",
            holds=lambda model: (
                model.cache is None
                or (model.has_source("^hf://") and not any(a.source.startswith("hf://") for a in model.adapters or ()))
            ),
            message="model.cache is for a model.source of hf:// whose adapters are in pvc:// or oci://: an engine with "
            "a cache asks the hub for nothing, and other sources need none",
            field="cache",
        ),
        Rule(
            cel="!has(self.adapters) || !has(self.source) || self.source.startsWith('hf://')"
            " || !self.adapters.exists(a, a.source.startsWith('hf://'))",
            holds=lambda model: (
                model.has_source("^hf://") or not any(a.source.startswith("hf://") for a in model.adapters or ())
            ),
            message="model.adapters[].source may be hf:// only where model.source is: other engines download nothing",
            field="adapters",
        ),
    )

    source: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Where the model's files are: `hf://org/name[@revision]` on the Hugging Face hub, `pvc://claim[/folder]` on a
    PersistentVolumeClaim, `oci://registry/image:tag` in an image that holds the files at its root (mounted as an image
    volume, Kubernetes 1.36 or later), `s3://bucket/prefix` in an S3-compatible store, or `ollama://name:tag` in
    Ollama's library. docs/engines.md says which engine loads what. An external engine alone has none."""
    file: FileName | None = None
    """The one file in the source that is loaded, for engines that load one, such as model-Q4_K_M.gguf."""
    name: ModelName | None = None
    """Name that clients write as `model`. Default: the last part of the source, with its organisation for hf://.
    An external engine needs it: the name by which it serves the model."""
    credentials: ModelCredentials | None = None
    """Secret that opens the source; not needed for public models."""
    cache: CacheSpec | None = None
    """Volume that the model is fetched into once. Default: none; each new pod of an hf:// model downloads it."""
    adapters: Annotated[list[AdapterSpec] | None, Field(max_length=64)] = None
    """LoRA adapters of the model. They come and go without a restart once there is this list, be it empty."""

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


class SizedModelSpec(ModelSpec):
    """A model by which its engine is sized."""

    figures: ModelFigures | None = None
    """What sizing goes by instead of the model's own files. Default: what config.json and the weights' index say."""


class MainModelSpec(SizedModelSpec):
    """The main engine's model and where its files are."""

    fallback: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Name in additionalEngines of the engine that answers while no replica of the main one can: it restarts, loads its
    model or fails before its first byte. Default: none, so that requests wait."""
