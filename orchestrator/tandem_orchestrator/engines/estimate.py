"""What a request is charged whose engine never said what it used: its client left, or the answer broke off."""

from typing import Any, Final

import orjson

from tandem_orchestrator.engines.answers import choices_in
from tandem_orchestrator.engines.endpoints import Endpoint
from tandem_orchestrator.observability.record import count, counts

BYTES_A_TOKEN: Final = 4  # a rule of thumb for English text
READ: Final = (  # fields that engines make the prompt of
    *("messages", "prompt", "input", "tools", "query", "documents"),
    *("text_1", "text_2", "queries", "items", "data_1", "data_2"),
)
COST_OF_ANSWER: Final = 512  # tokens, at the most: how long one really becomes nobody knows
PARSED: Final = 65_536  # bytes of a body; beside a longer prompt it does not matter how long the answer may be
MEDIA: Final = frozenset({"image_url", "input_audio", "audio_url", "video_url", "file"})  # in messages, and no text


def cost(body: bytes) -> float:
    """Return about how many tokens the request in `body` takes of an engine, before it is asked."""
    payload = orjson.loads(body) if len(body) <= PARSED else {}
    asked = payload.get("max_completion_tokens") or payload.get("max_tokens")
    answer = asked if isinstance(asked, int) and 0 < asked < COST_OF_ANSWER else COST_OF_ANSWER
    choices = payload.get("n")
    return len(body) / BYTES_A_TOKEN + answer * (choices if isinstance(choices, int) and choices > 1 else 1)


def usage(body: bytes, events: int = 0) -> dict[str, int]:
    """Return an OpenAI `usage` object for the request in `body`, of whose stream `events` came: about one a token."""
    payload = orjson.loads(body)
    prompt = _text_bytes([payload.get(field) for field in READ])
    return {"prompt_tokens": -(-prompt // BYTES_A_TOKEN), "completion_tokens": events}


def charge(body: bytes, told: Any, events: int, *, complete: bool) -> dict[str, int]:
    """Return the same where the engine may have told a `usage`: with what came since, if the stream is not complete."""
    prompt, completion = counts(told)
    if not (prompt or completion):
        return usage(body, events)
    return {"prompt_tokens": prompt, "completion_tokens": completion if complete else max(completion, events)}


def of_answer(endpoint: Endpoint, body: bytes, answer: dict[str, Any]) -> dict[str, int]:
    """Return the same for a request that got its `answer` in one piece, by what the answer says in ways of its own."""
    if total := _other_counts(answer):
        return {"prompt_tokens": total, "completion_tokens": 0}
    if endpoint.tokens_a_part:
        return usage(body, endpoint.tokens_a_part * len(answer[endpoint.answers]))
    texts = [choice.get("message") or choice.get("text") for choice in choices_in(answer)] or [answer.get("text")]
    return usage(body, -(-_text_bytes(texts) // BYTES_A_TOKEN))


def _other_counts(answer: dict[str, Any]) -> int:
    """Return what Jina's rerankers tell as `usage.total_tokens`, and Cohere's as `meta.tokens.input_tokens`."""
    told, meta = answer.get("usage"), answer.get("meta")
    if isinstance(told, dict) and "total_tokens" in told:
        return count(told["total_tokens"])
    tokens = meta.get("tokens") if isinstance(meta, dict) else None
    return count(tokens.get("input_tokens")) if isinstance(tokens, dict) else 0


def _text_bytes(value: Any) -> int:
    size, left = 0, [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            size += len(item.encode())
        elif isinstance(item, list):
            if item and isinstance(item[0], int):  # a prompt may come as tokens, and a million of them
                size += BYTES_A_TOKEN * len(item)
            else:
                left += item
        elif isinstance(item, dict):
            left += [value for name, value in item.items() if name not in MEDIA]
    return size
