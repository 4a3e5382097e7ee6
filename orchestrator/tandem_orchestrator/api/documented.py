"""The OpenAPI page, which also tells of the hot path that FastAPI never sees."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson
from fastapi import FastAPI, Request, Response

from tandem_orchestrator.engines.endpoints import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    ENDPOINTS,
    FORMS,
    IMAGES,
    MODERATIONS,
    RERANK,
    RESPONSES,
    SCORE,
    TOKENIZE,
    Endpoint,
)
from tandem_orchestrator.error_shape import MESSAGES
from tandem_orchestrator.errors import GatewayError
from tandem_orchestrator.tasks.openapi import described

if TYPE_CHECKING:
    from tandem_orchestrator.api.services import Services

_TEXTS: Final = {
    "oneOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1, "items": {}}],
    "description": "A text, a list of texts, or tokens.",
}
_TEXT: Final = {
    "oneOf": [{"type": "string", "minLength": 1}, {"type": "object"}, {"type": "array", "minItems": 1, "items": {}}],
    "description": "A text, or what the engine takes in its place.",
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
    "query": _TEXT,
    "documents": _TEXTS,
    "text_1": _TEXT,
    "text_2": _TEXTS,
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
_ID: Final = {"type": ["string", "null"], "minLength": 1, "maxLength": 64}
_FLAG: Final = {"type": ["boolean", "null"]}
_COUNT: Final = {"type": ["integer", "null"], "minimum": 1}
_SAID: Final = {
    "model": _MODEL,
    "input": {
        "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}],
        "description": "A text, or items: messages, results of functions, what earlier responses said.",
    },
    "instructions": {"type": ["string", "null"]},
    "previous_response_id": _ID,
}
_MAKING: Final = {
    **_SAID,
    **_TOOLS,
    "conversation": _ID | {"description": "The conversation that this response goes on with."},
    "reasoning": {"type": ["object", "null"]},
    "text": {"type": ["object", "null"]},
    "truncation": {"enum": ["auto", "disabled", None]},
}
_RESPONSE: Final = {
    **_MAKING,
    "background": _FLAG,
    "include": {"type": ["array", "null"], "items": {"type": "string"}},
    "max_output_tokens": _COUNT,
    "max_tool_calls": _COUNT,
    "metadata": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
    "store": _FLAG,
    "stream": _FLAG,
    "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
}
_RESPONSES: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    RESPONSES: ("Responses", "OpenAI's responses, with tools run on the server.", _RESPONSE),
    f"{RESPONSES}/compact": ("Compact", "Make a short input of a long one, or of a response and all before it.", _SAID),
    f"{RESPONSES}/input_tokens": ("Input tokens", "Count the tokens of a response's input.", _MAKING),
}
_SAYS: Final = {
    "oneOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {"type": {"const": "text"}, "text": {"type": "string", "minLength": 1}},
                "required": ["type", "text"],
            },
        },
    ],
    "description": "A text, or blocks: texts, images, documents, calls of tools and their results.",
}
_MESSAGE: Final = {
    "model": _MODEL,
    "messages": {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "properties": {"role": {"enum": ["user", "assistant", "system"]}, "content": _SAYS},
            "required": ["role", "content"],
        },
        "description": "The last one is the user's.",
    },
    "system": _SAYS,
    "thinking": {
        "type": ["object", "null"],
        "properties": {"type": {"enum": ["adaptive", "between_tools", "disabled"]}},
        "required": ["type"],
    },
    "tools": {
        "type": ["array", "null"],
        "items": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"},
                "description": {"type": "string"},
                "input_schema": {"type": "object", "properties": {"type": {"const": "object"}}, "required": ["type"]},
            },
            "required": ["name", "input_schema"],
        },
        "description": "Tools with the name of a server-side tool run here; calls of others come back.",
    },
    "tool_choice": {"type": ["object", "null"], "description": "`auto`, `any`, `tool` or `none`, as its `type`."},
    "tandem": _TOOLS["tandem"],
}
_MESSAGES: Final[dict[str, tuple[str, str, dict[str, Any], tuple[str, ...]]]] = {
    MESSAGES: (
        "Messages",
        "Anthropic's messages, with tools run on the server.",
        {**_MESSAGE, **_STREAM, "max_tokens": {"type": "integer", "minimum": 1}},
        ("model", "messages", "max_tokens"),
    ),
    f"{MESSAGES}/count_tokens": (
        "Count tokens",
        "Count the tokens of a message's input.",
        _MESSAGE,
        ("model", "messages"),
    ),
}
_WORDS: Final = {
    CHAT: ("Chat Completions", "OpenAI's chat completions, with tools run on the server."),
    COMPLETIONS: ("Completions", "OpenAI's completions of a prompt."),
    EMBEDDINGS: ("Embeddings", "OpenAI's embeddings."),
    RERANK: ("Rerank", "Texts in the order in which they answer a question, as Jina, Cohere and vLLM have it."),
    SCORE: ("Score", "How well texts fit others, as vLLM has it."),
    MODERATIONS: ("Moderations", "OpenAI's moderations: by rules and a guard model, or by an engine that has them."),
    IMAGES: ("Images", "OpenAI's images, made from a prompt."),
}
_ERROR: Final = {"description": '`{"error": {"message", "type", "param", "code"}}`'}
_ANTHROPIC_ERROR: Final = {"description": '`{"type": "error", "error": {"type", "message"}, "request_id"}`'}
_STATUSES: Final = ("400", "401", "403", "404", "408", "413", "429", "502", "503", "504")
_SECURITY: Final[list[dict[str, list[str]]]] = [{"HTTPBearer": []}, {"APIKeyHeader": []}]


_OTHERS: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    **_RESPONSES,
    TOKENIZE: (
        "Tokenize",
        "Count the tokens of a prompt, or of a chat as it would be sent.",
        {"model": _MODEL, "prompt": {"type": "string", "minLength": 1}, "messages": _ASKED["messages"]},
    ),
}
_SPEECH: Final = {
    "file": {"type": "string", "contentMediaType": "application/octet-stream", "minLength": 1},
    "model": _MODEL,
    "language": {"type": "string"},
    "prompt": {"type": "string"},
    "response_format": {"type": "string"},
    "stream": {"type": "string", "enum": ["true", "false"]},
}


class Api(FastAPI):
    """FastAPI, with the hot path and the tasks documented beside its own routes."""

    def setup(self) -> None:
        """Add the routes of the document, which differs by who asks, and of its pages."""
        self.add_route("/openapi.json", self._document, include_in_schema=False)
        super().setup()

    async def _document(self, request: Request) -> Response:
        services: Services = self.state.services
        document = self.openapi()
        try:
            principal = services.keys.identify(request.headers.raw)
        except GatewayError:
            told = {**document["info"], "description": "Tasks are shown to those who send a key that may use them."}
            return _json({**document, "info": told})
        components = document["components"]
        schemas = components.get("schemas", {})
        paths, more = described(services.tasks.shown(principal), schemas, services.config.limits.max_inputs)
        return _json(
            {
                **document,
                "paths": {**document["paths"], **paths},
                "components": {**components, "schemas": {**schemas, **more}},
            }
        )

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        document = super().openapi()
        paths = document["paths"]
        for path, endpoint in ENDPOINTS.items():
            paths.setdefault(path, {"post": _of_engine(endpoint)})
        for path in FORMS:
            paths.setdefault(path, {"post": _of_speech()})
        for path, (summary, description, fields, needs) in _MESSAGES.items():
            paths.setdefault(path, {"post": _of_anthropic(_operation((summary, description), fields, needs))})
        for path, (summary, description, fields) in _OTHERS.items():
            required = ("model",) if path.endswith("/compact") else ()
            paths.setdefault(path, {"post": _operation((summary, description), fields, required)})
        return document


def _json(document: dict[str, Any]) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")


def _of_engine(endpoint: Endpoint) -> dict[str, Any]:
    asks = endpoint.needs[0] if endpoint.needs else (endpoint.asks,)
    fields = {"model": _MODEL, **{name: _ASKED[name] for name in asks}}
    if endpoint.generates:
        fields |= _STREAM
    if endpoint.chat:
        fields |= _TOOLS
    return _operation(_WORDS[endpoint.path], fields, () if len(endpoint.needs) > 1 else asks)


def _of_speech() -> dict[str, Any]:
    operation = _operation(("Speech", "OpenAI's transcripts and translations of speech."), _SPEECH, ("file",))
    content = operation["requestBody"]["content"]
    content["multipart/form-data"] = content.pop("application/json")
    operation["responses"]["200"]["content"]["text/plain"] = {}
    return operation


def _of_anthropic(operation: dict[str, Any]) -> dict[str, Any]:
    """Return an operation of Anthropic's API, which knows its fields, and where engines that are too busy are a 529."""
    operation["tags"] = ["anthropic"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    schema["description"] = "Anthropic's request; fields that it does not have are refused."
    operation["responses"] |= dict.fromkeys((*_STATUSES, "529"), _ANTHROPIC_ERROR)
    return operation


def _operation(words: tuple[str, str], fields: dict[str, Any], required: Sequence[str]) -> dict[str, Any]:
    summary, description = words
    content: dict[str, Any] = {"application/json": {}}
    if "stream" in fields:
        content["text/event-stream"] = {}
    schema = {
        "type": "object",
        "description": "OpenAI's request; fields that are not named here go to the engine as they are.",
        "properties": fields,
        "required": list(required),
        "additionalProperties": True,
    }
    return {
        "tags": ["openai"],
        "summary": summary,
        "description": description,
        "security": _SECURITY,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "200": {"description": "The answer, whole or as events.", "content": content},
            **dict.fromkeys(_STATUSES, _ERROR),
        },
    }
