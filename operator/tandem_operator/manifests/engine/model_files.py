"""How the model's files reach the engine's container."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from tandem_operator.api.model import ModelSpec
from tandem_operator.api.source import Bucket, Claim, HuggingFace, ImageVolume, OllamaModel, Source
from tandem_operator.api.speculative_decoding import DraftModelSpec
from tandem_operator.manifests.component import Manifest
from tandem_operator.manifests.pod import variables

MOUNT_PATH: Final = "/models"
DRAFT_PATH: Final = "/draft"
"""Where the model that guesses is, unless it is in the model's own volume."""
_OFFLINE: Final = {"HF_HUB_OFFLINE": "1"}
_S3_REQUIRED: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_S3_OPTIONAL: Final = ("AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_REGION")


@dataclass(frozen=True)
class ModelFiles:
    """A model as the engine sees it."""

    model: str
    """Repository, path or URI to load."""
    revision: str | None = None
    file: str | None = None
    """The one file of the model to load, relative to it."""
    streamed: bool = False
    """Whether the weights are read from an object store while they load."""
    env: list[Manifest] = field(default_factory=list)
    volume: Manifest | None = None
    pull_secrets: list[Manifest] = field(default_factory=list)
    draft: "ModelFiles | None" = None
    """The model that guesses tokens for it."""

    def volumes(self) -> Iterator[tuple[str, str, Manifest]]:
        """Yield each volume's name, where it is mounted, and what it is."""
        if self.volume:
            yield "model", MOUNT_PATH, self.volume
        if self.draft and self.draft.volume and self.draft.volume != self.volume:
            yield "draft", DRAFT_PATH, self.draft.volume


def model_files(model: ModelSpec, draft: DraftModelSpec | None = None) -> ModelFiles:
    """Return where an engine finds the model, and the one that guesses for it, and what its pod needs for that."""
    files = _model_files(model)
    return replace(files, draft=_draft_files(draft, files.volume)) if draft else files


def _draft_files(draft: DraftModelSpec, beside: Manifest | None) -> ModelFiles:
    volume = volume_of(draft.parsed_source)
    folder = MOUNT_PATH if volume == beside else DRAFT_PATH
    match draft.parsed_source:
        case HuggingFace(repository, revision):
            return ModelFiles(repository, revision, draft.file)
        case Claim(_, path):
            folder = f"{folder}/{path}".rstrip("/")
    return ModelFiles(folder, file=draft.file, volume=volume)


def _model_files(model: ModelSpec) -> ModelFiles:
    secret = model.credentials.secret_name if model.credentials else None
    volume = volume_of(model.parsed_source)
    match model.parsed_source:
        case HuggingFace(repository, revision):
            return ModelFiles(repository, revision, model.file, env=_keys(secret, ("HF_TOKEN",)))
        case Claim(_, path):
            folder = f"{MOUNT_PATH}/{path}".rstrip("/")
            return ModelFiles(folder, file=model.file, env=variables(_OFFLINE), volume=volume)
        case ImageVolume():
            pull = [{"name": secret}] if secret else []
            return ModelFiles(MOUNT_PATH, file=model.file, env=variables(_OFFLINE), volume=volume, pull_secrets=pull)
        case Bucket(uri):
            env = [*_keys(secret, _S3_REQUIRED), *_keys(secret, _S3_OPTIONAL, optional=True)]
            return ModelFiles(uri, streamed=True, env=[*variables(_OFFLINE), *env])
        case OllamaModel(reference):
            return ModelFiles(reference)


def volume_of(source: Source) -> Manifest | None:
    """Return the volume that a source is in; None for one that is downloaded."""
    match source:
        case Claim(claim, _):
            return {"persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
        case ImageVolume(reference):
            return {"image": {"reference": reference, "pullPolicy": "IfNotPresent"}}
    return None


def _keys(secret: str | None, keys: tuple[str, ...], *, optional: bool = False) -> list[Manifest]:
    if secret is None:
        return []
    return [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": secret, "key": key, "optional": optional}}} for key in keys
    ]
