"""How much of a model's context a chat takes, as its engine tells it."""

import re
from typing import Any, Final

import orjson

from tandem_orchestrator.engines.dispatch import Call, Dispatcher
from tandem_orchestrator.errors import BadRequest, GatewayError, Refused

TOO_LONG: Final = re.compile(
    r"context.{0,10}length|context size|maximum model length|max_model_len|longer than the maximum", re.IGNORECASE
)
COUNTED: Final = ("model", "messages", "tools")  # of a chat, by vLLM's /tokenize
BAD_REQUEST: Final = 400
TOO_LONG_CODE: Final = "context_length_exceeded"


def is_too_long(error: GatewayError) -> bool:
    """Return whether an engine refused a chat because it is longer than its context."""
    return (
        isinstance(error, Refused)
        and error.status == BAD_REQUEST
        and (error.code == TOO_LONG_CODE or TOO_LONG.search(error.message) is not None)
    )


async def count_tokens(engines: Dispatcher, call: Call, payload: dict[str, Any]) -> int:
    """Return how many tokens a chat is; an engine that does not tell has to read it all. Raises `GatewayError`."""
    told = await told_tokens(engines, call, payload)
    if told is not None:
        return told[0]
    asked = {name: payload[name] for name in COUNTED if name in payload} | {"max_tokens": 1, "stream": False}
    _, answer = await engines.complete(call, orjson.dumps(asked))
    usage = answer.get("usage")
    found = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    if not isinstance(found, int):
        raise BadRequest("the engine does not tell how many tokens it reads")
    return found


async def told_tokens(engines: Dispatcher, call: Call, payload: dict[str, Any]) -> tuple[int, int] | None:
    """Return how many tokens a chat is, and how many one may be; None where no engine tells. Raises `GatewayError`."""
    asked = {name: payload[name] for name in COUNTED if name in payload}
    return await engines.count_tokens(call, orjson.dumps(asked))
