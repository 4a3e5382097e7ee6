"""What an engine is asked to see whether it calls tools and keeps to schemas, and what its answers show; does no I/O.

`tool_choice` is `auto`, as for nearly all requests: a forced call is held to its form by a grammar, and says nothing of
parser and template.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson
from tandem_contract.config import UpstreamType

from tandem_orchestrator.engines.answers import choices_in
from tandem_orchestrator.engines.tool_calling.markup import markup_in, remedy

_TOOL: Final = "get_current_weather"  # by which name most models know such a tool
_ARGUMENT: Final = "location"
_FIELD: Final = "colour"
_COLOURS: Final = ("red", "yellow", "blue")
_MOST_TOKENS: Final = 1024  # a model may think before it calls
_LONGEST_QUOTE: Final = 200
_LENGTH: Final = "length"
_CALLED: Final = "tool_calls"
_THOUGHTS: Final = ("reasoning", "reasoning_content")


class Fault(NamedTuple):
    """What is wrong with an answer."""

    reason: str
    """For machines, in one word."""
    message: str
    """For people: what came back, and what to change."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said, whole or put together from a stream's pieces."""

    text: str = ""
    thought: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    """Name and arguments of each."""
    finish: Any = None
    """The engine's `finish_reason`."""


def tool_question(model: str, context: int | None, *, stream: bool) -> dict[str, Any]:
    """Return a chat that asks for one tool call. `context`: the most tokens that a chat may have, if that is known."""
    parameters = {"type": "object", "properties": {_ARGUMENT: {"type": "string"}}, "required": [_ARGUMENT]}
    function = {"name": _TOOL, "description": "Get the current weather in a city", "parameters": parameters}
    chat = _chat(model, context, "What is the weather in Paris?")
    return {**chat, "tools": [{"type": "function", "function": function}], "tool_choice": "auto", "stream": stream}


def schema_question(model: str, context: int | None) -> dict[str, Any]:
    """Return a chat whose answer would be no JSON if the engine did not keep to the schema."""
    schema = {
        "type": "object",
        "properties": {_FIELD: {"type": "string", "enum": _COLOURS}},
        "required": [_FIELD],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
    return {**_chat(model, context, "Name a primary colour."), "response_format": wanted}


def _chat(model: str, context: int | None, text: str) -> dict[str, Any]:
    most = _MOST_TOKENS if context is None else max(1, min(_MOST_TOKENS, context // 2))
    return {"model": model, "messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": most}


def said_whole(answer: dict[str, Any]) -> Said:
    """Return what an answer says."""
    choice = next(iter(choices_in(answer)), {})
    message = _object(choice.get("message"))
    calls = [_object(call.get("function")) for call in _objects(message.get("tool_calls"))]
    return Said(
        _text(message.get("content")),
        _thought(message),
        tuple((_text(call.get("name")), call.get("arguments")) for call in calls),
        choice.get("finish_reason"),
    )


def said_in_pieces(chunks: Iterable[dict[str, Any]]) -> Said:
    """Return what a stream's chunks say together."""
    text, thought, finish = "", "", None
    calls: dict[Any, tuple[str, str]] = {}
    for choice in (choice for chunk in chunks for choice in choices_in(chunk)):
        delta = _object(choice.get("delta"))
        text, thought = text + _text(delta.get("content")), thought + _thought(delta)
        finish = choice.get("finish_reason") or finish
        for piece in _objects(delta.get("tool_calls")):
            function, at = _object(piece.get("function")), str(piece.get("index"))
            name, arguments = calls.get(at, ("", ""))
            calls[at] = (name + _text(function.get("name")), arguments + _text(function.get("arguments")))
    return Said(text, thought, tuple(calls.values()), finish)


def fault_of_call(said: Said, kind: UpstreamType) -> Fault | None:
    """Return what is wrong with an answer to `tool_question`, from an engine of this type; None if nothing is."""
    if said.calls:
        name, arguments = said.calls[0]
        if name == _TOOL and isinstance(_json(arguments).get(_ARGUMENT), str):
            return None
        came = f"the call came back as {_quote(name)} with the arguments {_quote(str(arguments))}"
        wanted = f"and not as {_TOOL} with a JSON object that has the text {_ARGUMENT}"
        return Fault("InvalidArguments", f"{came}, {wanted}; {remedy(kind)}, or take a model that calls tools")
    if markup := markup_in(said.text):
        message = f"the call came back as text: {_quote(said.text)}; {remedy(kind, markup.parser(kind))}"
        return Fault("ParserMismatch", message)
    if markup_in(said.thought) or (said.thought and not said.text and said.finish != _LENGTH):
        came = f"the call came back as reasoning: {_quote(said.thought)}"
        return Fault("ParserMismatch", f"{came}; correct toolCalling.reasoningParser, or leave it out")
    if said.finish == _LENGTH:
        came = f"the answer came to its bound of tokens before any call: {_quote(said.text or said.thought)}"
        return Fault("NoToolCall", f"{came}; raise maxModelLen if it is small, else take a model that calls tools")
    came = f"the model was to call a tool and answered in words: {_quote(said.text)}"
    change = "set toolCalling.chatTemplate to one that shows tools to the model, or take a model that calls tools"
    return Fault("NoToolCall", f"{came}; {change}")


def fault_of_stream(said: Said, kind: UpstreamType) -> Fault | None:
    """Return the same of the streamed answer, where the whole one was right."""
    fault = fault_of_call(said, kind)
    # TGI ends such streams as any other, or says nothing of their end: router/src/chat.rs, of 3.3
    if fault is None and (said.finish == _CALLED or kind is UpstreamType.TGI):
        return None
    told = fault.message if fault else f"its finish_reason is {said.finish!r} and not '{_CALLED}'; {remedy(kind)}"
    return Fault("StreamBroken", f"a call comes back right whole but not streamed: {told}")


def fault_of_schema(said: Said) -> Fault | None:
    """Return what is wrong with an answer to `schema_question`, None if nothing is."""
    answer = _json(said.text)
    if answer.keys() == {_FIELD} and answer[_FIELD] in _COLOURS:
        return None
    came = f"the answer does not fit the JSON schema that was asked for: {_quote(said.text or said.thought)}"
    return Fault("SchemaIgnored", f"{came}; correct structuredOutputs.backend or toolCalling.reasoningParser")


def _quote(text: str) -> str:
    text = " ".join(text.split())
    return f"“{text if len(text) <= _LONGEST_QUOTE else f'{text[:_LONGEST_QUOTE]}…'}”"


def _json(text: Any) -> dict[str, Any]:
    """Return the object that a text is; an empty one if it is none."""
    try:
        return _object(orjson.loads(text)) if isinstance(text, str) else {}
    except orjson.JSONDecodeError:
        return {}


def _thought(message: dict[str, Any]) -> str:
    return next((text for name in _THOUGHTS if (text := _text(message.get(name)))), "")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
