"""`models`: what clients may ask for beyond what the engines list."""

from pydantic import Field

from tandem_contract.config.base import JsonObject, Name, Section, SystemPrompt


class ModelSettings(Section):
    """How one model is offered."""

    name: Name
    """The model, as its engine serves it."""
    aliases: list[Name] = Field(default=[], max_length=64)
    """Other names for it."""
    tenants: list[Name] | None = Field(default=None, min_length=1, max_length=1024)
    """Tenants that may use it; to the others it does not exist. Default: all."""
    fallback: Name | None = None
    """Model that answers when this one's engines fail before the first byte, or stay away longer than
    fallbackSeconds."""
    fallback_seconds: float | None = Field(default=None, ge=0, le=86_400)
    """How long a request waits for this model's engines before the fallback answers. Default: hold.seconds."""
    system_prompt: SystemPrompt | None = None
    """Goes in front of a chat's messages when none of them is a system message; may name {{ tenant }}, {{ model }} and
    {{ date }}."""
    defaults: JsonObject = Field(default={}, max_length=64)
    """Request fields for requests that leave them out, e.g. temperature."""
    inject: JsonObject = Field(default={}, max_length=64)
    """Request fields that every request gets, whatever it says itself."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Most tokens that a request may ask for; more is lowered to this."""
