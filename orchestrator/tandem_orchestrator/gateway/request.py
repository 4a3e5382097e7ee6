"""Reads and checks a client's chat request."""

from dataclasses import dataclass
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from tandem_orchestrator.errors import BadRequest, BodyTooLarge, ClientLeft

MAX_DEPTH = 128  # engines parse with a recursion limit of their own and fail worse


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request whose fields that matter here have the right types; `body` is what the client sent."""

    body: bytes
    payload: dict[str, Any]
    model: str
    stream: bool

    @property
    def declared_tools(self) -> list[str]:
        """Names of the functions that the request declares; what has another shape is the engine's to judge."""
        names = []
        for tool in self.payload.get("tools") or ():
            function = tool.get("function") if isinstance(tool, dict) else None
            name = function.get("name") if isinstance(function, dict) else None
            if isinstance(name, str):
                names.append(name)
        return names


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body. Raises `BodyTooLarge` as soon as it passes `limit` bytes, `ClientLeft` if it never ends."""
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(f"the request body is larger than {limit} bytes")
        pieces.append(piece)
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def bounded(receive: Receive, limit: int) -> Receive:
    """`receive` for FastAPI, which reads without a limit: raises an `HTTPException` beyond `limit` bytes."""
    size = 0

    async def counting() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise HTTPException(BodyTooLarge.status, f"the request body is larger than {limit} bytes")
        return message

    return counting


def parse(body: bytes, default_model: str | None) -> ChatRequest:
    """The request in `body`. Raises `BadRequest`, which names the field."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the request body is not JSON: {error}", code="invalid_json") from None
    if not isinstance(payload, dict):
        raise BadRequest("the request body must be a JSON object", code="invalid_json")
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        _check_depth(payload)
    messages = payload.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(item, dict) for item in messages):
        raise BadRequest("`messages` must be a list of message objects, with at least one", param="messages")
    stream = payload.get("stream") or False
    if not isinstance(stream, bool):
        raise BadRequest("`stream` must be true or false", param="stream")
    if not isinstance(payload.get("tools") or [], list):
        raise BadRequest("`tools` must be a list", param="tools")
    model = payload.get("model")
    if model is None and default_model is not None:
        payload["model"] = model = default_model
        body = orjson.dumps(payload)
    if not isinstance(model, str) or not model:
        raise BadRequest("`model` must be the name of a model", param="model")
    return ChatRequest(body, payload, model, stream)


def _check_depth(document: Any) -> None:
    level = [document]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return
        level = below
    raise BadRequest(f"the request body is nested deeper than {MAX_DEPTH} levels", code="invalid_json")
