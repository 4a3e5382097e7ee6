"""What the engine is asked instead of what the client wrote: the model's settings, laid over the request."""

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from zlib import crc32

from tandem_contract import system_prompt
from tandem_contract.prompt_template import PromptError

from tandem_orchestrator.auth.principal import ANONYMOUS
from tandem_orchestrator.engines.catalogue import Model
from tandem_orchestrator.engines.endpoints import Endpoint
from tandem_orchestrator.engines.instructions import INSTRUCTIONS, instructed
from tandem_orchestrator.errors import BadRequest, GatewayError
from tandem_orchestrator.gateway.output_shapes import SHAPES, check_shapes
from tandem_orchestrator.gateway.request import Request

MAX_TOKENS: Final = ("max_tokens", "max_completion_tokens")
CHOICES: Final = ("n", "best_of")
PROMPTS: Final = ("prompt", "prompt_embeds")  # vLLM takes both in one request
AFFINITY_CHARACTERS: Final = 2048  # of each text that counts
MODEL: Final = "model"
SALT: Final = "cache_salt"
PRIORITY: Final = "priority"
BATCH_PRIORITY: Final = 1  # after those that say nothing, which have 0
UNHEARD: Final = frozenset({PRIORITY, "rid", "request_id", "id_slot", "extra_key", "custom_labels"})
"""What engines take as an order among all their requests, or as a name of one: no client speaks for the others."""
ENGINES_OWN: Final = {
    "lora_path": "adapters are asked for by `model`",  # SGLang, openai/protocol.py
    "lora": "adapters are asked for by `model`",  # llama.cpp, server-task.cpp; as the two below
    "n_predict": "it is called `max_tokens` here",
    "n_cmpl": "it is called `n` here",
    "input_ids": "a prompt in tokens is `prompt` here",
    "kv_transfer_params": "",  # vLLM: where another engine's cache is fetched from
    "ec_transfer_params": "",
    "bootstrap_host": "",  # SGLang, the same
    "bootstrap_port": "",
    "bootstrap_room": "",
    "bootstrap_pair_key": "",
    "session_params": "",  # SGLang: goes on with what another request has left
    "data_parallel_rank": "",
    "routed_dp_rank": "",
    "disagg_prefill_dp_rank": "",
    "custom_logit_processor": "",  # SGLang: code; as vLLM's
    "custom_params": "",
    "logits_processors": "",
}
"""What engines take beside OpenAI's fields that leads past what is checked here, or into what belongs to all; why."""
MORE: Final = "vllm_xargs"
"""vLLM puts what is in it beside what it makes of some of these."""
NOT_FOR_CLIENTS: Final = UNHEARD | frozenset(ENGINES_OWN)
LOOKED_INTO: Final = NOT_FOR_CLIENTS | frozenset(SHAPES) | {MORE, SALT}
OPTIONS: Final = "stream_options"
USAGE: Final = "include_usage"


def apply(request: Request, model: Model, tenant: str | None, max_choices: int, *, batch: bool = False) -> None:
    """Change `request` to what the engine of `model` shall get. Raises `BadRequest`.

    `tenant` is None while all clients are one; `batch` comes after others where the engine can tell them apart.
    """
    endpoint, settings, payload = request.endpoint, model.settings, request.payload
    payload[MODEL] = model.name
    if not LOOKED_INTO.isdisjoint(payload):
        _look_into(payload, tenant)
    payload.update(request.configured)
    if model.adapter_fields:
        model.name_adapter(payload)
    for name, value in settings.defaults.items():
        if payload.get(name) is None:
            payload[name] = value
    payload.update(settings.inject)
    if endpoint.several:
        _check_choices(endpoint, payload, max_choices)
    if endpoint.generates and settings.max_tokens is not None:
        _lower_tokens(endpoint, payload, settings.max_tokens)
    if settings.system_prompt is not None and endpoint.chat:
        _instruct(payload, settings.system_prompt, tenant or ANONYMOUS)
    if model.takes_cache_salt and endpoint.salted and tenant is not None:
        payload[SALT] = salt(tenant)
    if batch and model.takes_priority:
        payload[PRIORITY] = BATCH_PRIORITY


def count_usage(request: Request) -> bool:
    """Have the engine end a stream with its usage; false if the client asked for that itself. Raises `BadRequest`."""
    options = request.payload.get(OPTIONS) or {}
    if not isinstance(options, dict):
        raise BadRequest(f"`{OPTIONS}` must be an object", param=OPTIONS)
    if options.get(USAGE):
        return False
    request.payload[OPTIONS] = {**options, USAGE: True}
    return True


@lru_cache(4096)
def salt(tenant: str) -> str:
    """Keep the tenant's prefixes apart from others' in an engine's cache, whose hits their timing would tell."""
    return hashlib.blake2b(tenant.encode(), key=b"tandem cache salt", digest_size=16).hexdigest()


def affinity(request: Request, tenant: str) -> int:
    """Return what is equal for all turns of one conversation, in every process; never 0."""
    endpoint = request.endpoint
    payload = request.payload
    value = crc32(tenant.encode())
    for content in _beginning(payload[endpoint.asks]) if endpoint.chat else (payload.get(endpoint.asks),):
        value = crc32(_text(content)[:AFFINITY_CHARACTERS].encode(errors="replace"), value)
    return value or 1


def _look_into(payload: dict[str, Any], tenant: str | None) -> None:
    """Take out what is not for clients to say. Raises `BadRequest` where they may not go without it.

    The same for shapes of an answer that are too much for an engine.
    """
    if tenant is not None:
        payload.pop(SALT, None)  # it may be another tenant's
    for name in sorted(NOT_FOR_CLIENTS.intersection(payload)):
        if payload.pop(name) is not None and name in ENGINES_OWN:
            why = ENGINES_OWN[name] or "it is for those who run the engine to say"
            raise BadRequest(f"`{name}` is not taken from clients: {why}", param=name)
    if isinstance(more := payload.get(MORE), dict):
        _look_into(more, tenant)
    check_shapes(payload)


def _beginning(messages: list[dict[str, Any]]) -> list[Any]:
    """Return the content of the first message and, where that is an instruction, of the one that follows it."""
    return [message.get("content") for message in messages[: 1 + (messages[0].get("role") in INSTRUCTIONS)]]


def _text(content: Any) -> str:
    """Return the first text in a message's content or in a prompt; of a prompt in tokens, the first of them."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    if isinstance(content[0] if content else None, int):
        return str(content[:AFFINITY_CHARACTERS])
    texts = (part.get("text") if isinstance(part, dict) else part for part in content)
    return next((text for text in texts if isinstance(text, str)), "")


def _check_choices(endpoint: Endpoint, payload: dict[str, Any], limit: int) -> None:
    """Bound what one request makes an engine answer: each of its prompts, as often as it says."""
    most = 1
    for name in CHOICES:
        value = payload.get(name)
        if value is not None:
            if not _is_whole(value, 1) or value > limit:
                raise BadRequest(f"`{name}` must be a whole number from 1 to {limit}", param=name)
            most = max(most, value)
    if endpoint.chat:
        return
    prompts = sum(_prompts(payload.get(name)) for name in PROMPTS)
    if prompts * most > limit:
        raise BadRequest(
            f"`{endpoint.asks}` asks for {prompts * most} answers, and a request may ask for {limit}; send several",
            param=endpoint.asks,
        )


def _prompts(value: Any) -> int:
    """Return how many prompts a field has: one text, one list of tokens, or a list of either."""
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return len(value)
    return 0 if value is None else 1


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _lower_tokens(endpoint: Endpoint, payload: dict[str, Any], limit: int) -> None:
    least = 0 if not endpoint.chat and payload.get("echo") is True else 1  # engines take other zeros for "no limit"
    given = False
    for name in MAX_TOKENS:
        value = payload.get(name)
        if value is None:
            continue
        if not _is_whole(value, least):
            raise BadRequest(f"`{name}` must be a whole number of at least {least}", param=name)
        payload[name] = min(value, limit)
        given = True
    # A completion that says nothing gets few tokens; a chat, and a completion that says null, as many as fit.
    boundless = not given if endpoint.chat else payload.get(MAX_TOKENS[0], limit) is None
    if boundless:
        payload[MAX_TOKENS[0]] = limit


def instruct_first(request: Request, prompt: str, tenant: str) -> None:
    """Have `prompt` go before all that a request, made to fit its model, says. Raises `GatewayError`."""
    payload = request.payload
    payload["messages"] = instructed(payload["messages"], _told(prompt, tenant, payload[MODEL]), first=True)


def _instruct(payload: dict[str, Any], prompt: str, tenant: str) -> None:
    messages = payload["messages"]
    if not any(message.get("role") in INSTRUCTIONS for message in messages):
        payload["messages"] = [{"role": "system", "content": _told(prompt, tenant, payload[MODEL])}, *messages]


def _told(prompt: str, tenant: str, model: str) -> str:
    if system_prompt.template(prompt) is None:
        return prompt
    try:
        return system_prompt.written(prompt, tenant, model, datetime.now(UTC).date().isoformat())
    except PromptError as error:
        raise GatewayError(
            f"the system prompt of the service for the model {model!r} cannot be made: {error}",
            code="system_prompt_unusable",
        ) from None
