"""The request for an engine's chat that makes a response."""

from typing import Any, Final

from tandem_orchestrator.responses.create import Create

AS_THEY_ARE: Final = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "user")
LOGPROBS: Final = "message.output_text.logprobs"


def chat_payload(create: Create, chat: list[Any], declarations: list[Any], choice: Any) -> dict[str, Any]:
    """Return the request for an engine's chat that makes the response; what is unknown here goes on as it is."""
    given = create.payload
    payload: dict[str, Any] = {**create.extra, "messages": chat}
    payload |= {name: given[name] for name in AS_THEY_ARE if given.get(name) is not None}
    effort = (create.reasoning or {}).get("effort")
    form = _response_format(create.text["format"])
    wanted = {"max_tokens": create.max_output_tokens, "reasoning_effort": effort, "response_format": form}
    payload |= {name: value for name, value in wanted.items() if value is not None}
    if LOGPROBS in create.include:
        payload |= {"logprobs": True} | ({"top_logprobs": given["top_logprobs"]} if given.get("top_logprobs") else {})
    if declarations:
        payload["tools"] = declarations
        if choice != "auto":
            payload["tool_choice"] = choice
        if not create.parallel_tool_calls:
            payload["parallel_tool_calls"] = False
    return payload


def _response_format(form: dict[str, Any]) -> dict[str, Any] | None:
    if form["type"] == "text":
        return None
    if form["type"] == "json_object":
        return {"type": "json_object"}
    schema = {name: form[name] for name in ("name", "description", "schema", "strict") if form.get(name) is not None}
    return {"type": "json_schema", "json_schema": schema}
