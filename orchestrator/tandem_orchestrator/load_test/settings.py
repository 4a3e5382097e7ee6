"""What a load test does, and what it expects."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of requests."""

    CHAT = "chat"
    STREAM = "stream"
    TOOLS = "tools"


@dataclass(frozen=True)
class Targets:
    """What makes a run good."""

    p95_seconds: float = 2.0
    tool_success_percent: float = 99.0
    errors_percent: float = 1.0


@dataclass(frozen=True)
class Settings:
    """A run. With `rate` requests start at that many a second whatever becomes of them (an open loop); without it
    `concurrency` clients each wait for their answer before they ask again (a closed loop).
    """

    url: str
    mix: dict[Kind, float]
    """Kind -> its share, in any unit."""
    seconds: float
    rate: float | None = None
    concurrency: int = 10
    api_key: str | None = None
    model: str | None = None
    """None takes the first of the service's list."""
    prompt: str = "Say hello in one sentence."
    max_tokens: int = 64
    timeout_seconds: float = 60.0
    targets: Targets = Targets()


def parse_mix(text: str) -> dict[Kind, float]:
    """Return the share of each kind in `chat=60,stream=30,tools=10`. Raises `ValueError`."""
    mix: dict[Kind, float] = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            mix[Kind(name.strip())] = float(share)
        except ValueError:
            raise ValueError(
                f"{part!r} is not a kind and its share, such as chat=60; kinds: {', '.join(Kind)}"
            ) from None
    if any(share < 0 for share in mix.values()) or not sum(mix.values()):
        raise ValueError("shares must not be negative, and one must be above 0")
    return mix
