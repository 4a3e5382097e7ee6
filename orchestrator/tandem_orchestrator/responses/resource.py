"""A response as clients see it: OpenAI's object, with the 31 fields that Open Responses (2026-04-24) requires."""

import time
from typing import Any, Final

import orjson

from tandem_orchestrator.errors import GatewayError, LimitExceeded
from tandem_orchestrator.responses.create import Create

DEFAULTS: Final = {
    "temperature": 1.0,
    "top_p": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "top_logprobs": 0,
    "safety_identifier": None,
    "prompt_cache_key": None,
}
SERVER_ERRORS: Final = 500
FORMAT: Final = {"description": None, "strict": None}
FUNCTION: Final = {"description": None, "parameters": None, "strict": None}
CACHED: Final = "cached_tokens"
REASONED: Final = "reasoning_tokens"


class Resource:
    """One response; what changes while it is made are `status`, `output` and what tells of its end."""

    def __init__(self, create: Create, response_id: str, model: str, created_at: int | None = None) -> None:
        self.id = response_id
        self.status = "in_progress"
        self.error: dict[str, Any] | None = None
        self.incomplete_details: dict[str, Any] | None = None
        self.completed_at: int | None = None
        self.usage: dict[str, Any] | None = None
        self.turns_cut = 0
        self.guardrails: list[dict[str, Any]] = []
        self.created_at = created_at or int(time.time())
        payload = create.payload
        self._fixed = {
            "id": response_id,
            "object": "response",
            "created_at": self.created_at,
            "model": model,
            "previous_response_id": create.previous_id,
            "instructions": create.instructions,
            "tools": [_tool(tool) for tool in create.tools],
            "tool_choice": create.tool_choice,
            "truncation": create.truncation,
            "parallel_tool_calls": create.parallel_tool_calls,
            "text": _text(create.text),
            "reasoning": _reasoning(create.reasoning),
            "max_output_tokens": create.max_output_tokens,
            "max_tool_calls": create.max_tool_calls,
            "store": create.store,
            "background": create.background,
            "service_tier": "default",
            "metadata": create.metadata,
        }
        for name, default in DEFAULTS.items():
            value = payload.get(name)
            self._fixed[name] = default if value is None else value
        if create.conversation is not None:
            self._fixed["conversation"] = {"id": create.conversation}

    def end(self, status: str, **details: Any) -> None:
        """Note how it ended; `details` are `error` or `incomplete_details`."""
        self.status = status
        self.completed_at = int(time.time()) if status == "completed" else None
        for name, value in details.items():
            setattr(self, name, value)

    def written(self) -> bytes:
        """Return it as JSON, without its output."""
        ours = {"turns_cut": self.turns_cut, "guardrails": self.guardrails}
        told = {name: value for name, value in ours.items() if value}
        return orjson.dumps(
            {
                **({"tandem": told} if told else {}),
                **self._fixed,
                "status": self.status,
                "error": self.error,
                "incomplete_details": self.incomplete_details,
                "completed_at": self.completed_at,
                "usage": self.usage,
            }
        )


def whole(resource: bytes, output: bytes) -> bytes:
    """Return a response's JSON from its two parts."""
    return b'%b,"output":%b}' % (resource[:-1], output)


def usage_of(passes: dict[str, int]) -> dict[str, Any]:
    """Return a response's usage for the summed usage of chats."""
    prompt, completion = passes.get("prompt_tokens", 0), passes.get("completion_tokens", 0)
    return {
        "input_tokens": prompt,
        "input_tokens_details": {CACHED: passes.get(CACHED, 0), "cache_write_tokens": 0},
        "output_tokens": completion,
        "output_tokens_details": {REASONED: passes.get(REASONED, 0)},
        "total_tokens": prompt + completion,
    }


def failure(error: GatewayError) -> dict[str, str]:
    """Return a failed response's `error`, for which OpenAI has few codes; the event before it has the right one."""
    code = "server_error" if error.status >= SERVER_ERRORS else "invalid_prompt"
    if isinstance(error, LimitExceeded):
        code = "rate_limit_exceeded"
    return {"code": code, "message": error.message}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool["type"] == "function":
        return {**FUNCTION, **tool}
    if isinstance(inner := tool.get("file_search"), dict):  # an older shape
        return {"type": tool["type"], **inner}
    if tool["type"] == "mcp":  # a client's secrets are not shown again
        return {name: value for name, value in tool.items() if name not in ("authorization", "headers")}
    return tool


def _text(text: dict[str, Any]) -> dict[str, Any]:
    if text["format"]["type"] != "json_schema":
        return text
    return {**text, "format": {**FORMAT, **text["format"]}}


def _reasoning(reasoning: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if reasoning is None else {"effort": None, "summary": None, **reasoning}
