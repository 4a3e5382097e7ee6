"""The OpenAPI page, which also tells of the hot path that FastAPI never sees."""

from typing import Any, Final

from fastapi import FastAPI

from tandem_orchestrator.engines.endpoints import CHAT, COMPLETIONS, EMBEDDINGS, ENDPOINTS

_TEXTS: Final = {
    "oneOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1, "items": {}}],
    "description": "A text, a list of texts, or tokens.",
}
_ASKED: Final = {
    "messages": {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "properties": {"role": {"type": "string"}, "content": {}},
            "required": ["role"],
        },
    },
    "prompt": _TEXTS,
    "input": _TEXTS,
}
_MODEL: Final = {
    "type": "string",
    "description": "A model of /v1/models, or an alias; the first engine's model if left out.",
}
_STREAM: Final = {"stream": {"type": "boolean", "default": False}}
_TOOLS: Final = {
    "tools": {
        "type": "array",
        "items": {"type": "object"},
        "description": "Tools with the name of a server-side tool run here; calls of others come back.",
    },
    "tandem": {
        "type": "object",
        "description": "What this request wants of the server's tools; engines do not get to see it.",
        "properties": {
            "tools": {
                "oneOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}}],
                "description": "false for none, true for all, or the names of those to offer.",
            },
            "events": {
                "type": "boolean",
                "default": False,
                "description": "Whether a stream tells of tool calls in chunks of their own rather than in comments.",
            },
        },
        "additionalProperties": False,
    },
}
_WORDS: Final = {
    CHAT: ("Chat Completions", "OpenAI's chat completions, with tools run on the server."),
    COMPLETIONS: ("Completions", "OpenAI's completions of a prompt."),
    EMBEDDINGS: ("Embeddings", "OpenAI's embeddings."),
}
_ERROR: Final = {"description": '`{"error": {"message", "type", "param", "code"}}`'}
_STATUSES: Final = ("400", "401", "403", "404", "408", "413", "429", "502", "503", "504")
_SECURITY: Final[list[dict[str, list[str]]]] = [{"HTTPBearer": []}, {"APIKeyHeader": []}]


class Api(FastAPI):
    """FastAPI, with the hot path documented beside its own routes."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        document = super().openapi()
        for path in ENDPOINTS:
            document["paths"].setdefault(path, {"post": _operation(path)})
        return document


def _operation(path: str) -> dict[str, Any]:
    endpoint = ENDPOINTS[path]
    summary, description = _WORDS[path]
    fields = {"model": _MODEL, endpoint.asks: _ASKED[endpoint.asks]}
    content: dict[str, Any] = {"application/json": {}}
    if endpoint.generates:
        fields |= _STREAM
        content["text/event-stream"] = {}
    if endpoint.chat:
        fields |= _TOOLS
    schema = {
        "type": "object",
        "description": "OpenAI's request; fields that are not named here go to the engine as they are.",
        "properties": fields,
        "required": [endpoint.asks],
        "additionalProperties": True,
    }
    return {
        "tags": ["openai"],
        "summary": summary,
        "description": description,
        "security": _SECURITY,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "200": {"description": "The engine's answer, whole or as events.", "content": content},
            **dict.fromkeys(_STATUSES, _ERROR),
        },
    }
