"""A request for a message, checked, and the chat that answers it: `POST /v1/messages` and its `count_tokens`.

Fields as in Anthropic's API, by the types of its Python client (2.14.0), betas among them.
"""

from typing import Any, Final

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.gateway.output_shapes import check_schema_at
from tandem_orchestrator.messages.fields import Document, document, flag, invalid, one_of, share, text, whole
from tandem_orchestrator.messages.prompt import chat_of
from tandem_orchestrator.messages.tools import choice, declared
from tandem_orchestrator.tools.toolbox import Toolbox

READ: Final = frozenset(
    {
        "max_tokens",
        "messages",
        "model",
        "output_config",
        "output_format",
        "stop_sequences",
        "stream",
        "system",
        "tandem",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
IGNORED: Final = frozenset(
    {
        "anthropic_beta",
        "anthropic_version",
        "betas",
        "billing_policy",
        "cache_control",
        "compaction",
        "context_management",
        "diagnostics",
        "fallback_credit_token",
        "fallbacks",
        "metadata",
        "service_tier",
        "speed",
        "user_profile_id",
        "workspace_id",
    }
)
"""Fields that say how Anthropic's service goes about it, and change nothing of what is asked."""
REFUSED: Final = {
    "container": "code runs in no container here",
    "inference_geo": "where the model runs is not for a request to say",
    "mcp_servers": "MCP servers are named under `tools.mcp` in the configuration, and a request cannot bring others",
    "thread": "conversations are not kept here; send all of `messages`",
}
"""Fields that ask for what is not to be had."""
THINKING: Final = ("enabled", "adaptive", "between_tools", "disabled")
DISPLAYS: Final = ("summarized", "omitted")
EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
LEAST_BUDGET: Final = 1024


class Asked:
    """A checked request."""

    __slots__ = ("chat", "model", "shows_thinking", "stops", "stream")

    def __init__(
        self, payload: Document, reasoning_field: str, toolbox: Toolbox, principal: Principal, *, counted: bool = False
    ) -> None:
        """Check `payload`; one that is only `counted` says nothing of its answer.

        Raises `BadRequest`, which names the field, and `Forbidden`.
        """
        _check_names(payload)
        self.model = model_of(payload)
        self.stream = flag(payload, "stream") and not counted
        self.shows_thinking = _shows_thinking(payload)
        self.stops = _stops(payload)
        tools = declared(payload, toolbox, principal)
        chosen = choice(payload, tools)
        self.chat: dict[str, Any] = {
            "messages": chat_of(payload.get("system"), payload.get("messages"), reasoning_field)
        }
        """The request of a chat; what it asks of an engine beyond OpenAI's fields is `top_k`."""
        if tools:
            self.chat["tools"] = tools
        self.chat.update(chosen)
        if "tandem" in payload:
            self.chat["tandem"] = payload["tandem"]
        wanted = {
            "max_tokens": _most_tokens(payload, counted=counted),
            "stop": self.stops or None,
            "temperature": share(payload, "temperature"),
            "top_p": share(payload, "top_p"),
            "top_k": whole(payload, "top_k", "", 0) or None,
            **_output(payload),
        }
        self.chat.update({name: value for name, value in wanted.items() if value is not None})
        if self.stream:
            self.chat["stream"] = True
            self.chat["stream_options"] = {"include_usage": True}


def model_of(payload: Document) -> str:
    """Return the name of the model that a request asks. Raises `BadRequest`."""
    model = text(payload, "model", "")
    if not model:
        raise invalid("model", "must be the name of a model")
    return model


def _check_names(payload: Document) -> None:
    for name, value in payload.items():
        if name in READ or name in IGNORED:
            continue
        if name not in REFUSED:
            raise invalid(name, "there is no such field")
        if value:
            raise invalid(name, REFUSED[name])


def _most_tokens(payload: Document, *, counted: bool) -> int | None:
    most = whole(payload, "max_tokens", "", 1)
    if most is None and not counted:
        raise invalid("max_tokens", "must be a whole number of at least 1")
    return most


def _stops(payload: Document) -> list[str]:
    stops = payload.get("stop_sequences")
    if stops is None:
        return []
    if not isinstance(stops, list) or not all(isinstance(stop, str) and stop for stop in stops):
        raise invalid("stop_sequences", "must be a list of texts that are not empty")
    return stops


def _shows_thinking(payload: Document) -> bool:
    """Return whether the answer is to have what the model thinks; whether it thinks is the model's own."""
    if payload.get("thinking") is None:
        return True
    thinking = document(payload["thinking"], "thinking")
    kind = one_of(thinking, "type", "thinking.", THINKING)
    if kind is None:
        raise invalid("thinking.type", f"must be one of {', '.join(THINKING)}")
    if kind == "enabled" and whole(thinking, "budget_tokens", "thinking.", LEAST_BUDGET) is None:
        raise invalid("thinking.budget_tokens", f"must be a whole number of at least {LEAST_BUDGET}")
    return kind != "disabled" and one_of(thinking, "display", "thinking.", DISPLAYS) != "omitted"


def _output(payload: Document) -> dict[str, Any]:
    """Return the fields of a chat that say how it is answered."""
    config = {} if payload.get("output_config") is None else document(payload["output_config"], "output_config")
    effort = one_of(config, "effort", "output_config.", EFFORTS)
    path = "output_config.format" if config.get("format") is not None else "output_format"
    form = config.get("format") or payload.get("output_format")
    if form is None:
        return {"reasoning_effort": effort}
    if document(form, path).get("type") != "json_schema":
        raise invalid(f"{path}.type", "must be json_schema")
    check_schema_at(f"{path}.schema", form.get("schema"))
    schema = {"name": "output", "schema": document(form.get("schema"), f"{path}.schema"), "strict": True}
    return {"reasoning_effort": effort, "response_format": {"type": "json_schema", "json_schema": schema}}
