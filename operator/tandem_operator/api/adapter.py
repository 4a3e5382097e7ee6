"""`spec.model.adapters`: LoRA adapters of a model."""

import hashlib
from typing import Annotated, ClassVar, Final

from pydantic import Field, StringConstraints

from tandem_operator.api.source import (
    HF_LATEST_PATTERN,
    Claim,
    HuggingFace,
    ImageVolume,
    ModelName,
    Source,
    of_files,
    parse,
)
from tandem_operator.rules import Rule, Ruled

FOLDER: Final = "/adapters"
"""Where an engine has those that are in volumes."""
_Tenant = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class AdapterSpec(Ruled):
    """A LoRA adapter, which clients ask for as for a model of its name."""

    rules: ClassVar[tuple[Rule, ...]] = (
        of_files("model.adapters[]", HF_LATEST_PATTERN, "hf://org/name without a revision"),
    )

    name: ModelName
    """Name that clients write as `model`."""
    source: Annotated[str, Field(min_length=1, max_length=512)]
    """Where its files are: `hf://org/name`, which the engine downloads with the model's credentials;
    `pvc://claim[/folder]`; or `oci://registry/image:tag` with the files at its root. Another folder of a claim that an
    adapter is in already comes without a restart, as does hf://; another claim or image restarts the engine."""
    tenants: Annotated[list[_Tenant], Field(min_length=1, max_length=256)] | None = None
    """Tenants that may use it; to the others it does not exist. Default: all."""

    @property
    def parsed_source(self) -> Source:
        """The source, read."""
        return parse(self.source)

    @property
    def volume(self) -> str | None:
        """Name of the volume that it is in, the same for all of one claim or image; None where it is downloaded."""
        match self.parsed_source:
            case Claim(claim, _):
                return _volume(f"pvc://{claim}")
            case ImageVolume(reference):
                return _volume(f"oci://{reference}")
        return None

    @property
    def path(self) -> str:
        """What the engine is told to load."""
        match self.parsed_source:
            case HuggingFace(repository, _):
                return repository
            case Claim(_, path):
                return f"{FOLDER}/{self.volume}/{path}".rstrip("/")
        return f"{FOLDER}/{self.volume}"


def _volume(uri: str) -> str:
    return f"adapter-{hashlib.sha256(uri.encode()).hexdigest()[:12]}"
