"""`tenants`: what tenants get of engines that all of them want."""

from enum import StrEnum

from pydantic import Field

from tandem_contract.config.base import Name, Section, SystemPrompt


class ServiceClass(StrEnum):
    """Who comes first while requests queue."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class Tenant(Section):
    """A tenant as its keys name it. One that is not listed has the defaults."""

    name: Name
    """The tenant of its keys; all requests without a key are `anonymous`."""
    weight: int = Field(default=1, ge=1, le=1000)
    """Share of the engines while requests queue: one of 2 gets twice the tokens of one of 1."""
    service_class: ServiceClass = ServiceClass.INTERACTIVE
    """batch: comes after all that is interactive, but for a small part; interactive: somebody waits for the answer."""
    system_prompt: SystemPrompt | None = None
    """Goes before all that a chat says, also before its own system message; may name {{ tenant }}, {{ model }} and
    {{ date }}."""
