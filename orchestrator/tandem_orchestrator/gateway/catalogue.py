"""The models that clients may ask for."""

from dataclasses import dataclass

from tandem_contract.config import ModelSettings

from tandem_orchestrator.gateway.engines import Engines


@dataclass(frozen=True, slots=True)
class Model:
    """A model as its engines serve it, and how it is offered."""

    name: str
    settings: ModelSettings


class Catalogue:
    """Finds models by their names and aliases."""

    def __init__(self, settings: list[ModelSettings], engines: Engines) -> None:
        self._settings = {model.name: model for model in settings}
        self._aliases = {alias: model.name for model in settings for alias in model.aliases}
        self._engines = engines

    @property
    def default(self) -> str | None:
        """The model of a request that names none."""
        return self._engines.default_model

    def find(self, name: str) -> Model:
        """The model that clients call `name`. Raises `UnknownModel`."""
        canonical = self._aliases.get(name, name)
        self._engines.route(canonical)
        return Model(canonical, self._settings.get(canonical) or ModelSettings(name=canonical))
