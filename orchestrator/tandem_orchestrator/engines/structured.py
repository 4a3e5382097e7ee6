"""A chat whose answer has to fit a JSON schema, put to an engine that has no such thing; does no I/O."""

from typing import Any, Final

import orjson

from tandem_orchestrator.engines.endpoints import CHAT, COMPLETIONS
from tandem_orchestrator.engines.instructions import instructed
from tandem_orchestrator.errors import BadRequest, Malformed
from tandem_orchestrator.observability.record import count

FIELD: Final = "response_format"
WRITTEN: Final = b'"response_format"'
SCHEMA: Final = "response_format.json_schema.schema"
MAX_SCHEMA: Final = 262_144  # bytes
AS_IT_IS: Final = ("length", "content_filter")
"""Reasons to end that say themselves why there is no whole document."""
OBJECT: Final[dict[str, Any]] = {"type": "object"}
CORRECT: Final = (
    "That does not fit the JSON schema: {}\n\nAnswer again, with the corrected JSON document and nothing else."
)
NOTHING: Final = "…"  # engines refuse messages without a text
FRAME: Final = ("id", "created", "model", "system_fingerprint")
LAST: Final = ("content", "tool_calls")

Json = dict[str, Any]


class Structured:
    """What such a chat asks the engine, by a system message in the place of `response_format`."""

    def __init__(self, payload: Json, schema: Json, about: str | None) -> None:
        """Check what is asked; takes `payload` for its own. Raises `BadRequest`."""
        if payload.get("n") not in (None, 1):
            raise BadRequest(f"`n` must be 1 with `{FIELD}` and this model", param="n")
        self.schema = orjson.dumps(schema)
        if len(self.schema) > MAX_SCHEMA:
            raise BadRequest(f"`{SCHEMA}` may have {MAX_SCHEMA} bytes", param=FIELD)
        options = payload.pop("stream_options", None) or {}
        self.usage_wanted = isinstance(options, dict) and bool(options.get("include_usage"))
        """Whether a stream is to end with the usage."""
        payload.pop("stream", None)
        payload["messages"] = instructed(
            payload["messages"], instruction(self.schema, about, tools=payload.get("tools"))
        )
        self._payload = payload

    def first(self) -> bytes:
        """Return the body of the first pass."""
        return orjson.dumps(self._payload)

    def second(self, said: str, problem: str) -> bytes:
        """Return the body of the pass that puts right what was `said`."""
        messages = [
            *self._payload["messages"],
            {"role": "assistant", "content": said or NOTHING},
            {"role": "user", "content": CORRECT.format(problem)},
        ]
        return orjson.dumps({**self._payload, "messages": messages})


def structured(path: str, body: bytes) -> Structured | None:
    """Return what the request in `body` asks of an engine without `response_format`; None where it has no such field.

    Raises `BadRequest`, which names what cannot be had of such an engine.
    """
    if path not in (CHAT, COMPLETIONS) or body.find(WRITTEN) < 0:
        return None
    payload: Json = orjson.loads(body)
    form = payload.pop(FIELD, None)
    kind = form.get("type") if isinstance(form, dict) else form
    if kind is None or kind == "text":
        return None
    if path != CHAT:
        raise BadRequest(f"`{FIELD}` can be had of this model in {CHAT} alone", param=FIELD)
    if kind == "json_object":
        return Structured(payload, OBJECT, None)
    if kind != "json_schema":
        raise BadRequest(f"`{FIELD}.type` must be text, json_object or json_schema with this model", param=FIELD)
    asked = form.get("json_schema")
    schema = asked.get("schema") if isinstance(asked, dict) else None
    if not isinstance(schema, dict):
        raise BadRequest(f"`{SCHEMA}` must be a JSON schema", param=FIELD)
    about = asked.get("description")
    return Structured(payload, schema, about if isinstance(about, str) else None)


def said_in(answer: Json) -> str | None:
    """Return the text that has to fit; None where the answer is something else: tool calls, a refusal, a part of one.

    Raises `Malformed`.
    """
    choice = answer["choices"][0]
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Malformed("the engine's answer has no message")
    if choice.get("finish_reason") in AS_IT_IS or message.get("tool_calls") or message.get("refusal"):
        return None
    said = message.get("content")
    if not isinstance(said, str | None):
        raise Malformed("the engine's answer has a `content` that is no text")
    return said or ""


def put(answer: Json, document: str) -> None:
    """Have `answer` say the `document`."""
    answer["choices"][0]["message"]["content"] = document


def together(first: Any, second: Any) -> Any:
    """Return the usage of two passes as one."""
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return second or first
    return {name: _sum(first.get(name), second.get(name)) for name in {**first, **second}}


def events(answer: Json, *, usage_wanted: bool) -> bytes:
    """Return a whole chat completion as the events of a stream."""
    choice = answer["choices"][0]
    message: Json = choice["message"]
    frame = {name: answer[name] for name in FRAME if name in answer} | {"object": f"{answer.get('object')}.chunk"}
    said = {name: value for name, value in message.items() if value not in (None, "", []) and name not in LAST}
    deltas: list[Json] = [{"role": said.pop("role", "assistant"), "content": ""}]
    deltas += [{name: value} for name, value in said.items()]
    if content := message.get("content"):
        deltas.append({"content": content})
    if calls := message.get("tool_calls"):
        deltas.append({"tool_calls": [{"index": index, **call} for index, call in enumerate(calls)]})
    choices: list[Json] = [{"delta": delta, "logprobs": None, "finish_reason": None} for delta in deltas]
    choices[-1]["logprobs"] = choice.get("logprobs")
    choices.append({"delta": {}, "finish_reason": choice.get("finish_reason") or "stop"})
    if choice.get("stop_reason") is not None:
        choices[-1]["stop_reason"] = choice["stop_reason"]
    chunks: list[Json] = [{**frame, "choices": [{"index": 0, **part}]} for part in choices]
    if usage_wanted and answer.get("usage"):
        chunks.append({**frame, "choices": [], "usage": answer["usage"]})
    return b"".join(b"data: %b\n\n" % orjson.dumps(chunk) for chunk in chunks) + b"data: [DONE]\n\n"


def instruction(schema: bytes, about: str | None, *, tools: Any) -> str:
    """Return what tells a model the JSON schema that its answer has to fit."""
    unless = "Unless you call a tool, answer" if tools else "Answer"
    text = (
        f"{unless} with one JSON document and nothing else: no words before or after it, no code fence. It has to fit "
        f"this JSON schema:\n{schema.decode()}"
    )
    return f"{text}\nWhat it is: {about}" if about else text


def _sum(first: Any, second: Any) -> Any:
    if isinstance(first, dict) and isinstance(second, dict):  # details
        return {name: count(first.get(name)) + count(second.get(name)) for name in {**first, **second}}
    if isinstance(first, int) and isinstance(second, int):
        return count(first) + count(second)
    return first if second is None else second
