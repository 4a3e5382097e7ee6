"""`responses`: what is kept of responses and conversations, and how they run."""

from enum import StrEnum

from pydantic import Field

from tandem_contract.config.base import Seconds, SecretFile, Section
from tandem_contract.config.keys import MOST


class ReasoningEvents(StrEnum):
    """How a stream's events with raw reasoning are called."""

    OPENAI = "openai"
    OPEN_RESPONSES = "open-responses"


class Background(Section):
    """Responses that go on without their client (`background: true`)."""

    concurrency: int = Field(default=16, ge=1, le=10_000)
    """How many each process makes at the same time."""
    max_queued: int = Field(default=10_000, ge=1, le=10_000_000)
    """How many of a tenant may be queued; more are refused."""
    max_queued_seconds: Seconds = 86_400.0
    """How long one may be queued, such as while its engine is away; then it fails."""


class Quota(Section):
    """What each tenant may keep; what is left out is unlimited."""

    responses: int | None = Field(default=None, ge=1, le=MOST)
    """Responses."""
    bytes: int | None = Field(default=None, ge=1, le=MOST)
    """Bytes of responses and of conversations' items."""


class Responses(Section):
    """Responses (`/v1/responses`) and conversations."""

    store: bool = True
    """Keep responses whose request does not say whether to."""
    reasoning_events: ReasoningEvents = ReasoningEvents.OPENAI
    """openai: `response.reasoning_text.delta`; open-responses: `response.reasoning.delta`, as its standard has it."""
    retention_days: float | None = Field(default=30.0, gt=0, le=36_500)
    """Responses, and conversations since they were last used, are deleted when they are older; null keeps them."""
    quota: Quota = Quota()
    """What each tenant may keep."""
    background: Background = Background()
    """Responses that go on without their client."""
    encryption_keys: list[SecretFile] = Field(default=[], max_length=16)
    """Secrets that `encrypted_content` is encrypted with: the first one writes, all of them read. Default: one that is
    made and kept in the database."""
