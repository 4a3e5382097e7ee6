"""The x-ratelimit-* headers, as OpenAI sends them."""

from functools import lru_cache
from typing import Final

Header = tuple[bytes, bytes]

REMAINING_REQUESTS: Final = b"x-ratelimit-remaining-requests"
REMAINING_TOKENS: Final = b"x-ratelimit-remaining-tokens"


def figure_header(kind: str, value: int) -> Header:
    """Return what is allowed of `requests` or `tokens`."""
    return f"x-ratelimit-limit-{kind}".encode(), str(value).encode()


@lru_cache(maxsize=256)
def reset_requests(seconds: int) -> Header:
    """Return when more requests are allowed than now."""
    return b"x-ratelimit-reset-requests", duration(seconds).encode()


@lru_cache(maxsize=256)
def reset_tokens(seconds: int) -> Header:
    """Return when more tokens are allowed than now."""
    return b"x-ratelimit-reset-tokens", duration(seconds).encode()


def duration(seconds: int) -> str:
    """Return `1s`, `6m0s`, `23h0m5s`."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
