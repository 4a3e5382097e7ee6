"""`spec.model`: what is served."""

import re
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from tandem_operator.api.source import HF_PATTERN, OCI_PATTERN, PVC_PATTERN, S3_PATTERN, Source, parse
from tandem_operator.rules import Rule, Ruled

ObjectName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)
]


def _form(scheme: str, pattern: str, shape: str) -> Rule:
    prefix = f"{scheme}://"
    return Rule(
        cel=f"!self.source.startsWith('{prefix}') || self.source.matches(r'{pattern}')",
        holds=lambda model: not model.source.startswith(prefix) or bool(re.fullmatch(pattern, model.source)),
        message=f"model.source with {prefix} is written {shape}",
        field="source",
    )


class ModelCredentials(Ruled):
    """Secret that opens the model's source."""

    secret_name: ObjectName
    """Secret in the same namespace. For hf:// it has the key HF_TOKEN; for s3:// AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY, and may have AWS_SESSION_TOKEN, AWS_ENDPOINT_URL and AWS_REGION; for oci:// it is of type
    kubernetes.io/dockerconfigjson."""


class ModelSpec(Ruled):
    """The model and where its files are."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.source.matches('^(hf|pvc|oci|s3)://')",
            holds=lambda model: bool(re.match("^(hf|pvc|oci|s3)://", model.source)),
            message="model.source must begin with hf://, pvc://, oci:// or s3://, "
            "for example hf://Qwen/Qwen2.5-0.5B-Instruct",
            field="source",
        ),
        _form("hf", HF_PATTERN, "hf://org/name or hf://org/name@revision"),
        _form("pvc", PVC_PATTERN, "pvc://claim or pvc://claim/folder"),
        _form("oci", OCI_PATTERN, "oci://registry/image:tag or oci://registry/image@sha256:digest"),
        _form("s3", S3_PATTERN, "s3://bucket/prefix"),
        Rule(
            cel="!self.source.contains('..')",
            holds=lambda model: ".." not in model.source,
            message="model.source must not contain '..'; name the folder itself",
            field="source",
        ),
        Rule(
            cel="!has(self.credentials) || !self.source.startsWith('pvc://')",
            holds=lambda model: model.credentials is None or not model.source.startswith("pvc://"),
            message="model.credentials has no use with pvc://; remove it",
            field="credentials",
        ),
    )

    source: Annotated[str, Field(min_length=1, max_length=512)]
    """Where the model's files are: `hf://org/name[@revision]` on the Hugging Face hub, `pvc://claim[/folder]` on a
    PersistentVolumeClaim, `oci://registry/image:tag` in an image that holds the files at its root (mounted as an image
    volume, Kubernetes 1.36 or later), or `s3://bucket/prefix` in an S3-compatible store."""
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$", max_length=128)] | None = None
    """Name that clients write as `model`. Default: the last part of the source, with its organisation for hf://."""
    credentials: ModelCredentials | None = None
    """Secret that opens the source; not needed for public models."""

    @property
    def parsed_source(self) -> Source:
        """The source, read."""
        return parse(self.source)

    @property
    def served_name(self) -> str:
        """Name that clients write."""
        return self.name or self.parsed_source.name
