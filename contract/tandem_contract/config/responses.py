"""`responses`: what is kept of responses and conversations, and how they run."""

from enum import StrEnum

from tandem_contract.config.base import Section


class ReasoningEvents(StrEnum):
    """How a stream's events with raw reasoning are called."""

    OPENAI = "openai"
    OPEN_RESPONSES = "open-responses"


class Responses(Section):
    """Responses (`/v1/responses`) and conversations."""

    store: bool = True
    """Keep responses whose request does not say whether to."""
    reasoning_events: ReasoningEvents = ReasoningEvents.OPENAI
    """openai: `response.reasoning_text.delta`; open-responses: `response.reasoning.delta`, as its standard has it."""
