"""What goes over a WebSocket: a client's messages checked, events and errors as frames. Does no I/O."""

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import orjson

from tandem_orchestrator.errors import BadRequest, GatewayError
from tandem_orchestrator.responses.events import DONE

CREATE: Final = "response.create"
NOT_SENT: Final = {
    "stream_options": "events are sent anyway",
    "background": "send it to `POST /v1/responses`",
    "stream_id": "a connection makes one response at a time; open another one beside it",
}
"""Fields that a message may not have, and why."""
NOT_FOUND: Final = "previous_response_not_found"
STATUS: Final = {NOT_FOUND: 400}
"""Where the standard has another status here than HTTP has."""
MOST_WAITING: Final = 4
DATA: Final = b"\ndata: "
END: Final = b"\n\n"


class Waiting:
    """Messages that wait for their turn: few, and bounded in bytes; None stands for one that is no text."""

    def __init__(self) -> None:
        self._messages: deque[bytes | None] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message: bytes | None, most_bytes: int) -> bool:
        """Take a message; return false if there is no room for it."""
        size = self._size + len(message or b"")
        if self._messages and (len(self._messages) >= MOST_WAITING or size > most_bytes):
            return False
        self._messages.append(message)
        self._size = size
        return True

    def take(self) -> bytes | None:
        """Return the first message."""
        message = self._messages.popleft()
        self._size -= len(message or b"")
        return message


def create_in(message: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the request in a message, and whether an answer is wanted at once. Raises `BadRequest`."""
    if message.get("type") != CREATE:
        raise BadRequest(f"a message's `type` must be `{CREATE}`", param="type")
    if (stream := message.get("stream")) is not None and stream is not True:  # true is what the OpenAI Agents SDK sends
        raise BadRequest("`stream` is not taken over a WebSocket: events are sent anyway", param="stream")
    for name, why in NOT_SENT.items():
        if message.get(name) is not None:
            raise BadRequest(f"`{name}` is not taken over a WebSocket: {why}", param=name)
    generate = message.get("generate", True)
    if not isinstance(generate, bool):
        raise BadRequest("`generate` must be true or false", param="generate")
    own = ("type", "generate", "stream", *NOT_SENT)
    return {name: value for name, value in message.items() if name not in own}, generate


def parent_of(message: dict[str, Any]) -> str | None:
    """Return the id of the response that a message, checked or not, continues."""
    parent = message.get("previous_response_id")
    return parent if isinstance(parent, str) else None


def frames(events: bytes) -> Iterator[str]:
    """Return the JSON of each event of a stream, whose text was written here: no event has a line break in it."""
    for event in events.removesuffix(DONE).split(END):
        if event:
            yield event[event.index(DATA) + len(DATA) :].decode()


def envelope(error: GatewayError, request_id: str) -> str:
    """Return the frame that tells of an error."""
    document: dict[str, Any] = {
        "type": "error",
        "status": STATUS.get(str(error.code), error.status),
        "error": {
            "type": error.type,
            "code": str(error.code or error.type),
            "message": error.message,
            "param": error.param,
        },
        "request_id": request_id,
    }
    retry = {name.decode(): value.decode("latin-1") for name, value in error.headers if name == b"retry-after"}
    if retry:
        document["headers"] = retry
    return orjson.dumps(document).decode()


def is_foreign(headers: list[tuple[bytes, bytes]], allowed: list[str]) -> bool:
    """Return whether a browser's page asks that is neither of this service's own host nor `allowed` (server.cors).

    Other clients name no origin. Proxies may end TLS, so that the host alone is compared.
    """
    named = {name: value.decode("latin-1").lower() for name, value in headers if name in (b"origin", b"host")}
    origin = named.get(b"origin")
    if origin is None or "*" in allowed or origin in (each.lower() for each in allowed):
        return False
    return origin.partition("://")[2] != named.get(b"host")
