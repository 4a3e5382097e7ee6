"""What the engine is asked instead of what the client wrote: the model's settings, laid over the request."""

import hashlib
from functools import lru_cache
from typing import Any
from zlib import crc32

from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.gateway.catalogue import Model
from tandem_orchestrator.gateway.endpoints import Endpoint
from tandem_orchestrator.gateway.request import Request

MAX_TOKENS = ("max_tokens", "max_completion_tokens")
CHOICES = ("n", "best_of")
INSTRUCTIONS = ("system", "developer")  # no set: a role may be anything, also what cannot be hashed
AFFINITY_CHARACTERS = 2048  # of each text that counts
MODEL, SALT, OPTIONS, USAGE = "model", "cache_salt", "stream_options", "include_usage"


def apply(endpoint: Endpoint, request: Request, model: Model, tenant: str | None, max_choices: int) -> None:
    """Changes `request` to what the engine of `model` shall get. Raises `BadRequest`.

    `tenant` is None while all clients are one.
    """
    settings = model.settings
    if endpoint.generates:
        _check_choices(request.payload, max_choices)
    if request.payload.get(MODEL) != model.name:
        request.set(MODEL, model.name)
    for name, value in settings.defaults.items():
        if request.payload.get(name) is None:
            request.set(name, value)
    for name, value in settings.inject.items():
        request.set(name, value)
    if settings.max_tokens is not None and endpoint.generates:
        _lower_tokens(endpoint, request, settings.max_tokens)
    if settings.system_prompt is not None and endpoint.chat:
        _instruct(request, settings.system_prompt)
    if model.takes_cache_salt and tenant is not None:
        request.set(SALT, salt(tenant))


def count_usage(request: Request) -> bool:
    """Has the engine end a stream with its usage; false if the client asked for that itself. Raises `BadRequest`."""
    options = request.payload.get(OPTIONS) or {}
    if not isinstance(options, dict):
        raise BadRequest(f"`{OPTIONS}` must be an object", param=OPTIONS)
    if options.get(USAGE):
        return False
    request.set(OPTIONS, {**options, USAGE: True})
    return True


@lru_cache(4096)
def salt(tenant: str) -> str:
    """Keeps the tenant's prefixes apart from others' in an engine's cache, whose hits their timing would tell."""
    return hashlib.blake2b(tenant.encode(), key=b"tandem cache salt", digest_size=16).hexdigest()


def affinity(endpoint: Endpoint, request: Request, tenant: str) -> int:
    """Equal for all turns of one conversation, in every process; never 0."""
    asked = request.payload[endpoint.asks]
    value = crc32(tenant.encode())
    for content in _beginning(asked) if endpoint.chat else (asked,):
        value = crc32(_text(content)[:AFFINITY_CHARACTERS].encode(errors="replace"), value)
    return value or 1


def _beginning(messages: list[dict[str, Any]]) -> list[Any]:
    """The content of the first message and, where that is an instruction, of the one that follows it."""
    return [message.get("content") for message in messages[: 1 + (messages[0].get("role") in INSTRUCTIONS)]]


def _text(content: Any) -> str:
    """The first text in a message's content or in a prompt; of a prompt in tokens, the first of them."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    if isinstance(content[0] if content else None, int):
        return str(content[:AFFINITY_CHARACTERS])
    texts = (part.get("text") if isinstance(part, dict) else part for part in content)
    return next((text for text in texts if isinstance(text, str)), "")


def _check_choices(payload: dict[str, Any], limit: int) -> None:
    for name in CHOICES:
        value = payload.get(name)
        if value is not None and (not isinstance(value, int) or value > limit):
            raise BadRequest(f"`{name}` must be a whole number of at most {limit}", param=name)


def _lower_tokens(endpoint: Endpoint, request: Request, limit: int) -> None:
    given = [name for name in MAX_TOKENS if request.payload.get(name) is not None]
    for name in given:
        if not isinstance(request.payload[name], int):
            raise BadRequest(f"`{name}` must be a whole number", param=name)
        if request.payload[name] > limit:
            request.set(name, limit)
    if not given and endpoint.chat:  # a completion that says nothing gets few tokens, a chat as many as fit
        request.set(MAX_TOKENS[0], limit)


def _instruct(request: Request, prompt: str) -> None:
    messages = request.payload["messages"]
    if not any(message.get("role") in INSTRUCTIONS for message in messages):
        request.set("messages", [{"role": "system", "content": prompt}, *messages])
