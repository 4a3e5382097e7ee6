"""The request for an engine's chat that makes a response."""

from typing import Any, Final

from tandem_orchestrator.responses.create import Create

SAMPLING: Final = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
LOGPROBS: Final = "message.output_text.logprobs"


def chat_payload(create: Create, chat: list[Any], declarations: list[Any], choice: Any) -> dict[str, Any]:
    """Return the request for an engine's chat that makes the response."""
    payload: dict[str, Any] = {"messages": chat, **create.extra}
    given = create.payload
    for name in SAMPLING:
        if given.get(name) is not None:
            payload[name] = given[name]
    if create.max_output_tokens is not None:
        payload["max_tokens"] = create.max_output_tokens
    if LOGPROBS in create.include:
        payload["logprobs"] = True
        if given.get("top_logprobs"):
            payload["top_logprobs"] = given["top_logprobs"]
    if declarations:
        payload["tools"] = declarations
        if choice != "auto":
            payload["tool_choice"] = choice
        if not create.parallel_tool_calls:
            payload["parallel_tool_calls"] = False
    if (effort := (create.reasoning or {}).get("effort")) is not None:
        payload["reasoning_effort"] = effort
    if (form := _response_format(create.text["format"])) is not None:
        payload["response_format"] = form
    if given.get("user") is not None:
        payload["user"] = given["user"]
    return payload


def _response_format(form: dict[str, Any]) -> dict[str, Any] | None:
    if form["type"] == "text":
        return None
    if form["type"] == "json_object":
        return {"type": "json_object"}
    schema = {name: form[name] for name in ("name", "description", "schema", "strict") if form.get(name) is not None}
    return {"type": "json_schema", "json_schema": schema}
