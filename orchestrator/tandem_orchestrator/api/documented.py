"""The OpenAPI page, which also tells of the hot path that FastAPI never sees."""

from typing import Any

from fastapi import FastAPI

from tandem_orchestrator.gateway.endpoints import CHAT

_MESSAGE = {
    "type": "object",
    "properties": {"role": {"type": "string"}, "content": {}},
    "required": ["role"],
}
_REQUEST = {
    "type": "object",
    "description": "OpenAI's chat completion request; fields that are not named here go to the engine as they are.",
    "properties": {
        "model": {"type": "string", "description": "The first engine's model if left out."},
        "messages": {"type": "array", "minItems": 1, "items": _MESSAGE},
        "stream": {"type": "boolean", "default": False},
        "tools": {
            "type": "array",
            "items": {"type": "object"},
            "description": "Tools with the name of a server-side tool run here; calls of others come back.",
        },
    },
    "required": ["messages"],
    "additionalProperties": True,
}
_ERROR = {"description": '`{"error": {"message", "type", "param", "code"}}`'}
_CHAT_COMPLETIONS: dict[str, Any] = {
    "tags": ["chat"],
    "summary": "Chat Completions",
    "description": "OpenAI's chat completions, in one piece or as server-sent events, with tools run on the server.",
    "requestBody": {"required": True, "content": {"application/json": {"schema": _REQUEST}}},
    "responses": {
        "200": {"description": "A chat completion, or its chunks.", "content": {"application/json": {}}},
        **dict.fromkeys(("400", "404", "413", "502", "503", "504"), _ERROR),
    },
}


class Api(FastAPI):
    """FastAPI, with the hot path documented beside its own routes."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()
        document["paths"].setdefault(CHAT, {"post": _CHAT_COMPLETIONS})
        return document
