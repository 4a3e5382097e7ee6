"""A request for a response, checked: `POST /v1/responses` and its forms over WebSocket and in the background.

Fields as in OpenAI's API (openapi 2.3.0) and in Open Responses (2026-04-24).
"""

from typing import Any, Final

from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.gateway.output_shapes import check_schema_at
from tandem_orchestrator.responses import items
from tandem_orchestrator.store.metadata import metadata

INCLUDABLE: Final = frozenset(
    {
        "web_search_call.action.sources",
        "web_search_call.results",
        "code_interpreter_call.outputs",
        "computer_call_output.output.image_url",
        "file_search_call.results",
        "message.input_image.image_url",
        "message.output_text.logprobs",
        "reasoning.encrypted_content",
    }
)
EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
FORMATS: Final = ("text", "json_object", "json_schema")
MODES: Final = ("none", "auto", "required")
LEAST_COMPACTION: Final = 1000
MOST_LOGPROBS: Final = 20

KNOWN: Final = frozenset(
    {
        "background",
        "context_management",
        "conversation",
        "frequency_penalty",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "parallel_tool_calls",
        "presence_penalty",
        "previous_response_id",
        "prompt_cache_key",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "tandem",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)
"""Fields that are read here; others go on to the engine as they are, apart from"""
UNSERVED: Final = {
    "prompt": "prompt templates are not kept here; send `instructions` and `input`",
    "moderation": "there is no moderation here",
    "messages": "that is a chat completion's; send `input`",
    "max_tokens": "that is a chat completion's; send `max_output_tokens`",
    "max_completion_tokens": "that is a chat completion's; send `max_output_tokens`",
    "response_format": "that is a chat completion's; send `text.format`",
    "reasoning_effort": "that is a chat completion's; send `reasoning.effort`",
    "functions": "that is a chat completion's; send `tools`",
    "function_call": "that is a chat completion's; send `tool_choice`",
    "logprobs": "that is a chat completion's; send `include` with `message.output_text.logprobs`",
    "n": "a response is one; send several requests",
}
"""which ask for what is not to be had, or only by another name."""


class Create:
    """A checked request; what it leaves out has OpenAI's default."""

    __slots__ = (
        "background",
        "compact",
        "compact_threshold",
        "conversation",
        "extra",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "parallel_tool_calls",
        "payload",
        "previous_id",
        "reasoning",
        "store",
        "stream",
        "text",
        "tool_choice",
        "tools",
        "truncation",
    )

    def __init__(self, payload: dict[str, Any], *, store: bool) -> None:
        """Check `payload`; `store` is what holds where it says nothing. Raises `BadRequest`, which names the field."""
        get = payload.get
        self.payload = payload
        self.model: str | None = _text(payload, "model", least=1)
        self.input: list[items.Item] = items.checked(get("input"))
        self.compact = bool(self.input) and self.input[-1]["type"] == "compaction_trigger"
        """Whether all that is wanted is a compaction."""
        if self.compact:
            self.input.pop()
        self.instructions: str | None = _text(payload, "instructions")
        self.previous_id: str | None = _text(payload, "previous_response_id", least=1)
        self.conversation: str | None = conversation_of(get("conversation"))
        self.store: bool = _flag(payload, "store", default=store)
        self.stream: bool = _flag(payload, "stream", default=False)
        self.background: bool = _flag(payload, "background", default=False)
        self.parallel_tool_calls: bool = _flag(payload, "parallel_tool_calls", default=True)
        self.include: frozenset[str] = _include(get("include"))
        self.metadata: dict[str, str] = metadata(get("metadata"))
        self.max_output_tokens: int | None = _whole(payload, "max_output_tokens", 1)
        self.max_tool_calls: int | None = _whole(payload, "max_tool_calls", 1)
        self.reasoning: dict[str, Any] | None = _reasoning(get("reasoning"))
        self.text: dict[str, Any] = _text_format(get("text"))
        self.tools: list[dict[str, Any]] = _tools(get("tools"))
        self.tool_choice: str | dict[str, Any] = _tool_choice(get("tool_choice"))
        self.truncation: str = _choice(payload, "truncation", ("auto", "disabled")) or "disabled"
        self.compact_threshold: int | None = _threshold(get("context_management"))
        self.extra: dict[str, Any] = {}
        for name, value in payload.items():
            if name not in KNOWN:
                if name in UNSERVED and value is not None:
                    raise BadRequest(f"`{name}`: {UNSERVED[name]}", param=name)
                self.extra[name] = value
        self._check_numbers()
        self._check_together()

    def _check_numbers(self) -> None:
        for name, least, most in (
            ("temperature", 0, 2),
            ("top_p", 0, 1),
            ("presence_penalty", -2, 2),
            ("frequency_penalty", -2, 2),
        ):
            value = self.payload.get(name)
            if value is not None and (not _is_number(value) or not least <= value <= most):
                raise BadRequest(f"`{name}` must be a number from {least} to {most}", param=name)
        logprobs = _whole(self.payload, "top_logprobs", 0)
        if logprobs is not None and logprobs > MOST_LOGPROBS:
            raise BadRequest(f"`top_logprobs` must be at most {MOST_LOGPROBS}", param="top_logprobs")

    def _check_together(self) -> None:
        if self.previous_id is not None and self.conversation is not None:
            raise BadRequest(
                "`previous_response_id` and `conversation` each say what came before; send one of them",
                param="previous_response_id",
            )
        if self.background and not self.store:
            raise BadRequest("`background` needs `store`: its answer is fetched later", param="background")
        if self.conversation is not None and not self.store:
            raise BadRequest("`conversation` needs `store`: its items are kept", param="conversation")


def _text(payload: dict[str, Any], name: str, least: int = 0) -> str | None:
    value = payload.get(name)
    if value is not None and (not isinstance(value, str) or len(value) < least):
        raise BadRequest(f"`{name}` must be a text{', and not empty' if least else ''}", param=name)
    return value


def _flag(payload: dict[str, Any], name: str, *, default: bool) -> bool:
    value = payload.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise BadRequest(f"`{name}` must be true or false", param=name)
    return value


def _whole(payload: dict[str, Any], name: str, least: int, path: str = "") -> int | None:
    value = payload.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise BadRequest(f"`{path}{name}` must be a whole number of at least {least}", param=path + name)
    return value


def _choice(payload: dict[str, Any], name: str, among: tuple[str, ...]) -> str | None:
    value = payload.get(name)
    if value is not None and value not in among:
        raise BadRequest(f"`{name}` must be one of {', '.join(among)}", param=name)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def conversation_of(value: Any) -> str | None:
    """Return the id of a request's conversation. Raises `BadRequest`."""
    if isinstance(value, dict):
        value = value.get("id", False)
    if value is not None and not (isinstance(value, str) and value):
        raise BadRequest("`conversation` must be the id of a conversation, or an object with it", param="conversation")
    return value


def _include(value: Any) -> frozenset[str]:
    if value is None:
        return frozenset()
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise BadRequest("`include` must be a list of names", param="include")
    if unknown := sorted(set(value) - INCLUDABLE):
        raise BadRequest(
            f"`include` knows no {', '.join(unknown)}; it knows {', '.join(sorted(INCLUDABLE))}", param="include"
        )
    return frozenset(value)


def _reasoning(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadRequest("`reasoning` must be an object", param="reasoning")
    effort = value.get("effort")
    if effort is not None and effort not in EFFORTS:
        raise BadRequest(f"`reasoning.effort` must be one of {', '.join(EFFORTS)}", param="reasoning.effort")
    return value


def _text_format(value: Any) -> dict[str, Any]:
    if value is None:
        return {"format": {"type": "text"}}
    if not isinstance(value, dict):
        raise BadRequest("`text` must be an object", param="text")
    given = value.get("format")
    if given is None:
        return {**value, "format": {"type": "text"}}
    if not isinstance(given, dict) or given.get("type") not in FORMATS:
        raise BadRequest(f"`text.format.type` must be one of {', '.join(FORMATS)}", param="text.format.type")
    if given["type"] == "json_schema":
        if not isinstance(given.get("schema"), dict):
            raise BadRequest("`text.format.schema` must be a JSON schema", param="text.format.schema")
        check_schema_at("text.format.schema", given["schema"])
        if not isinstance(given.get("name"), str):
            raise BadRequest("`text.format.name` must be a text", param="text.format.name")
    return value


def _tools(value: Any) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadRequest("`tools` must be a list", param="tools")
    for n, tool in enumerate(value):
        if not isinstance(tool, dict) or not isinstance(tool.get("type"), str):
            raise BadRequest(f"`tools.{n}` must be an object with a `type`", param=f"tools.{n}")
    return value


def _tool_choice(value: Any) -> str | dict[str, Any]:
    if value is None:
        return "auto"
    if value in MODES if isinstance(value, str) else isinstance(value, dict) and isinstance(value.get("type"), str):
        choice: str | dict[str, Any] = value
        return choice
    raise BadRequest(f"`tool_choice` must be {', '.join(MODES)}, or an object with a `type`", param="tool_choice")


def _threshold(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise BadRequest("`context_management` must be a list of objects", param="context_management")
    found = None
    for n, entry in enumerate(value):
        if entry.get("type") != "compaction":
            raise BadRequest("only `compaction` is known here", param=f"context_management.{n}.type")
        found = _whole(entry, "compact_threshold", LEAST_COMPACTION, f"context_management.{n}.")
    return found
