"""How the files of a model's adapters reach the engine's container, where it does not download them."""

from dataclasses import dataclass

from tandem_operator.api.adapter import FOLDER
from tandem_operator.api.model import ModelSpec
from tandem_operator.manifests.component import Manifest
from tandem_operator.manifests.engine.model_files import volume_of


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
    found = {adapter.volume: volume_of(adapter.parsed_source) for adapter in model.adapters or ()}
    return [AdapterVolume(name, source) for name, source in sorted(found.items(), key=str) if name and source]
