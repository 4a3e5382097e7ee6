"""`models`: what clients may ask for beyond what the engines list."""

from pydantic import Field

from tandem_contract.config.base import JsonObject, Name, Section


class ModelSettings(Section):
    """How one model is offered."""

    name: Name
    """The model, as its engine serves it."""
    aliases: list[Name] = Field(default=[], max_length=64)
    """Other names for it."""
    fallback: Name | None = None
    """Model that answers when this one's engines fail before the first byte, or stay away longer than hold.seconds."""
    system_prompt: str | None = Field(default=None, min_length=1, max_length=65_536)
    """Goes in front of a conversation that has no system message."""
    defaults: JsonObject = Field(default={}, max_length=64)
    """Request fields for requests that leave them out, e.g. temperature."""
    inject: JsonObject = Field(default={}, max_length=64)
    """Request fields that every request gets, whatever it says itself."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Most tokens that a request may ask for; more is lowered to this."""


def distinct_models(models: list[ModelSettings]) -> list[ModelSettings]:
    """The same list, in which each name and alias means one model and no fallback leads back. Raises `ValueError`."""
    names = [name for model in models for name in (model.name, *model.aliases)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"names and aliases must differ, these are used twice: {', '.join(twice)}")
    meant = {name: model for model in models for name in (model.name, *model.aliases)}
    for model in models:
        way = [model.name]
        while (step := meant.get(meant[way[-1]].fallback or "")) is not None:
            if step.name in way:
                raise ValueError(f"fallbacks must not lead back: {' > '.join((*way, step.name))}")
            way.append(step.name)
    return models
