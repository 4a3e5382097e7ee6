"""What a chunk of a streamed chat or completion is made of."""

from typing import Any, Final

import orjson

Json = dict[str, Any]

BEGINS: Final = b"data: "
FRAME: Final = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
"""What all chunks have in common."""
TEXTS: Final = ("content", "reasoning", "reasoning_content", "refusal", "text")
LOGPROBS: Final = "logprobs"
SHAPE: Final = "the engine's stream holds a chunk of another shape than OpenAI's"


def as_event(chunk: Json) -> bytes:
    """Return the event that says it."""
    return b"data: %b\n\n" % orjson.dumps(chunk)


def numbers(usage: Json) -> Json:
    """Return a usage, which is numbers and objects of numbers."""
    return {
        name: numbers(value) if isinstance(value, dict) else value
        for name, value in usage.items()
        if value is None or isinstance(value, dict | int | float)
    }
