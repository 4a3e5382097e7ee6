"""Reads and checks a client's request to an engine."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import orjson
from starlette.types import Message, Receive
from tandem_contract.config import Timeouts

from tandem_orchestrator.engines.endpoints import Endpoint
from tandem_orchestrator.errors import BadRequest, BodyTooLarge, ClientLeft, TookTooLong, TooSlow
from tandem_orchestrator.gateway.watch import TimeLimit

if TYPE_CHECKING:
    from tandem_orchestrator.gateway.guard import Guard

LARGE: Final = 65_536  # bytes of a body; a smaller one cannot hold much
MOST_VALUES: Final = 300_000  # in JSON, where a name counts two and an object or list four: 30 ms of parsing, 30 MB

Headers = list[tuple[bytes, bytes]]

_NOTHING: Final[Mapping[str, Any]] = {}
_MESSAGES: Final = "`messages` must be a list of message objects, with at least one"
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


class Request:
    """A request whose fields that matter here have the right types."""

    __slots__ = ("configured", "endpoint", "guard", "model", "ours", "payload", "stream")

    def __init__(self, endpoint: Endpoint, payload: dict[str, Any], model: str | None, *, stream: bool) -> None:
        self.endpoint = endpoint
        self.payload = payload
        self.model = model
        """None where it names none."""
        self.stream = stream
        self.configured: Mapping[str, Any] = _NOTHING
        """Fields that the configuration lays over the payload: checked when it was read, and not a client's words."""
        self.ours = False
        """Whether the service asks for a purpose of its own, of which no tenant's system prompt knows."""
        self.guard: Guard | None = None
        """Set once guardrails have judged what it asks."""

    def body(self) -> bytes:
        """Return what the engine gets: what was checked, and never the client's own bytes.

        An engine may read these otherwise, and of two fields with one name keep the one that was not looked at. Writing
        takes 0.2 us for a short request, which is less than adding fields to the client's bytes did.
        """
        return orjson.dumps(self.payload)

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


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long clients may take, and be kept waiting."""

    body: TimeLimit
    request: TimeLimit
    """From the body's last byte on."""


def deadlines(timeouts: Timeouts) -> Deadlines:
    """Return the time limits of all requests under one configuration."""
    return Deadlines(
        TimeLimit(timeouts.body_seconds, lambda: _too_slow(timeouts.body_seconds)),
        TimeLimit(
            timeouts.request_seconds,
            lambda: TookTooLong(f"the request took longer than {timeouts.request_seconds:g} s"),
        ),
    )


async def read_body(receive: Receive, limit: int, time: TimeLimit) -> bytes:
    """Return the whole body. Raises `BodyTooLarge` as soon as it passes `limit` bytes, `TooSlow`, or `ClientLeft`."""
    first = _arrived(receive)
    if first is not None and not first.get("more_body", False):
        return _piece(first, 0, limit)
    with time():
        return await _read_pieces(receive, limit, first)


async def _read_pieces(receive: Receive, limit: int, message: Message | None) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = message or await receive()
        pieces.append(piece := _piece(message, size, limit))
        size += len(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)
        message = None


def _arrived(receive: Receive) -> Message | None:
    """Return what can be received without waiting: most bodies come along with their headers, and need no
    time limit.
    """
    receiving = receive().__await__()
    try:
        next(receiving)
    except StopIteration as received:
        message: Message = received.value
        return message
    receiving.close()
    return None


def _piece(message: Message, size: int, limit: int) -> bytes:
    """Return the next piece of a body of which `size` bytes are there."""
    if message["type"] == "http.disconnect":
        raise ClientLeft
    piece: bytes = message.get("body", b"")
    if size + len(piece) > limit:
        raise too_large(limit)
    return piece


def too_large(limit: int) -> BodyTooLarge:
    """Return the error for a body of more than `limit` bytes."""
    return BodyTooLarge(f"the request body is larger than {limit} bytes")


async def weigh(body: bytes, most: int = MOST_VALUES) -> None:
    """Refuse a large body of so many values that to make objects of them would hold up everybody.

    Other requests go on between its steps, and so that they do, large bodies take turns: the next one's begins in the
    second turn of the loop after this has returned. Raises `BadRequest`.
    """
    loop = asyncio.get_running_loop()
    turn = _turn_of(loop)
    await turn.acquire()
    try:
        if _values(body) > most:
            await _refuse_values(body, most)
        await asyncio.sleep(0)
    finally:
        loop.call_soon(turn.release)


async def _refuse_values(body: bytes, most: int) -> None:
    """Count again, without what stands in texts."""
    await asyncio.sleep(0)
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
        await asyncio.sleep(0)
    if body.count(b'"') < 2 * most:  # else its texts alone are too many
        body = b"".join(body.split(b'"')[::2])
        await asyncio.sleep(0)
    if _values(body) > most:
        raise BadRequest(
            f"the request body has more than {most} JSON values, where a name counts two and an object or list four; "
            "send it in several requests",
            code="too_many_values",
        )


def _values(body: bytes) -> int:
    """Return at least as many as `body` has; exact where its texts have no such characters."""
    return body.count(b",") + 2 * body.count(b":") + 4 * (body.count(b"[") + body.count(b"{"))


def _turn_of(loop: asyncio.AbstractEventLoop) -> asyncio.Lock:
    turn = _turns.get(loop)
    if turn is None:
        turn = _turns[loop] = asyncio.Lock()
    return turn


def json_object(body: bytes, max_depth: int) -> dict[str, Any]:
    """Return the object in `body`. Raises `BadRequest`."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the request body is not JSON: {error}", code="invalid_json") from None
    if not isinstance(payload, dict):
        raise BadRequest("the request body must be a JSON object", code="invalid_json")
    if body.count(b"{") + body.count(b"[") > max_depth:
        _check_depth(payload, max_depth)
    return payload


def checked(endpoint: Endpoint, payload: dict[str, Any]) -> Request:
    """Return the request that is in JSON's object. Raises `BadRequest`, which names the field."""
    if endpoint.chat:
        _check_chat(payload)
    elif endpoint.needs:
        _check_needs(endpoint, payload)
    elif not isinstance(payload.get(endpoint.asks), str | list) or not payload[endpoint.asks]:
        raise BadRequest(f"`{endpoint.asks}` must be a text or a list, and not empty", param=endpoint.asks)
    stream = payload.get("stream") or False
    if not isinstance(stream, bool):
        raise BadRequest("`stream` must be true or false", param="stream")
    if stream and not (endpoint.generates or endpoint.repeats):
        raise BadRequest(f"answers of {endpoint.path} come in one piece here: leave `stream` out", param="stream")
    model = payload.get("model")
    if model is not None and not (isinstance(model, str) and model):
        raise BadRequest("`model` must be the name of a model", param="model")
    return Request(endpoint, payload, model, stream=stream and endpoint.generates)


def _check_chat(payload: dict[str, Any]) -> None:
    messages = payload.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest(_MESSAGES, param="messages")
    for message in messages:
        if not isinstance(message, dict):
            raise BadRequest(_MESSAGES, param="messages")
    if not isinstance(payload.get("tools") or [], list):
        raise BadRequest("`tools` must be a list", param="tools")


def _check_needs(endpoint: Endpoint, payload: dict[str, Any]) -> None:
    """Raise `BadRequest` unless one of the groups of fields is there; it names what is missing where one is begun."""
    groups = endpoint.needs
    if any(all(_is_asked(payload.get(name)) for name in group) for group in groups):
        return
    begun = next((group for group in groups if any(name in payload for name in group)), groups[0])
    missing = next(name for name in begun if not _is_asked(payload.get(name)))
    taken = ", or ".join(" and ".join(f"`{name}`" for name in group) for group in groups)
    raise BadRequest(
        f"`{missing}` must be a text, an object or a list, and not empty: {endpoint.path} takes {taken}", param=missing
    )


def _is_asked(value: Any) -> bool:
    return isinstance(value, str | list | dict) and bool(value)


def _check_depth(document: Any, limit: int) -> None:
    level = [document]
    for _ in range(limit):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return
        level = below
    raise BadRequest(f"the request body is nested deeper than {limit} levels", code="invalid_json")


def _too_slow(seconds: float) -> TooSlow:
    error = TooSlow(f"the request body did not arrive within {seconds:g} s")
    error.headers.append((b"connection", b"close"))
    return error
