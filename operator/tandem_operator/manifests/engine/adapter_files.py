"""How the files of a model's adapters reach the engine's container, where it does not download them."""

from dataclasses import dataclass

from tandem_operator.api.adapter import FOLDER
from tandem_operator.api.model import ModelSpec
from tandem_operator.api.source import Claim, ImageVolume, Source
from tandem_operator.manifests.component import Manifest


@dataclass(frozen=True)
class AdapterVolume:
    """A volume with one adapter or more."""

    name: str
    source: Manifest

    @property
    def mount(self) -> Manifest:
        """Where the container has it."""
        return {"name": self.name, "mountPath": f"{FOLDER}/{self.name}", "readOnly": True}


def adapter_volumes(model: ModelSpec) -> list[AdapterVolume]:
    """Return each claim and image once, in an order that a further adapter of theirs leaves as it is."""
    found = {adapter.volume: _volume(adapter.parsed_source) for adapter in model.adapters or ()}
    return [AdapterVolume(name, source) for name, source in sorted(found.items(), key=str) if name and source]


def _volume(source: Source) -> Manifest | None:
    match source:
        case Claim(claim, _):
            return {"persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
        case ImageVolume(reference):
            return {"image": {"reference": reference, "pullPolicy": "IfNotPresent"}}
    return None
