"""A client of /v1/responses over a WebSocket."""

import asyncio
from typing import Any, Self

import orjson
from websockets.asyncio.client import ClientConnection, connect

from tests.sockets.running import Orchestrator

Document = dict[str, Any]

ENDS = ("response.completed", "response.incomplete", "response.failed")


class Turn:
    """All that came for one message."""

    def __init__(self, events: list[Document]) -> None:
        self.events = events

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def response(self) -> Document:
        """The response that has ended; its events are in order and without a gap."""
        assert [event["sequence_number"] for event in self.events] == list(range(len(self.events)))
        assert self.types[:2] == ["response.created", "response.in_progress"]
        response: Document = self.events[-1]["response"]
        return response

    @property
    def text(self) -> str:
        assert self.response["status"] == "completed", self.events
        return "".join(part["text"] for item in self.response["output"] for part in item.get("content", ()))

    @property
    def error(self) -> tuple[int, str]:
        """Status and code of what failed before its first event."""
        (envelope,) = self.events
        assert (envelope["type"], set(envelope["error"])) == ("error", {"type", "code", "message", "param"}), envelope
        return envelope["status"], envelope["error"]["code"]


class SocketClient:
    """`async with SocketClient(orchestrator) as client:`; every wait has a deadline."""

    def __init__(self, server: Orchestrator | str, path: str = "/v1/responses", **options: Any) -> None:
        url = server if isinstance(server, str) else server.url
        self._connecting = connect(url.replace("http", "ws", 1) + path, proxy=None, max_size=None, **options)
        self.socket: ClientConnection

    async def __aenter__(self) -> Self:
        async with asyncio.timeout(20):
            self.socket = await self._connecting
        return self

    async def __aexit__(self, *_: object) -> None:
        async with asyncio.timeout(20):
            await self.socket.close()

    async def send(self, given: Any = "Hello", **fields: Any) -> None:
        await self.socket.send(orjson.dumps(asked(given, **fields)).decode())

    async def event(self) -> Document:
        async with asyncio.timeout(20):  # a database may have to be made first
            frame = await self.socket.recv()
        assert isinstance(frame, str)
        event: Document = orjson.loads(frame)
        return event

    async def turn(self) -> Turn:
        """What comes up to the end of a response, or up to an error's envelope."""
        events = []
        while True:
            events.append(event := await self.event())
            if event["type"] in ENDS or "status" in event:
                return Turn(events)

    async def ask(self, given: Any = "Hello", **fields: Any) -> Turn:
        await self.send(given, **fields)
        return await self.turn()

    async def say(self, message: Any) -> Turn:
        """What comes for any message."""
        await self.socket.send(message)
        return await self.turn()

    async def closed(self) -> int | None:
        """The code with which the server closes it."""
        async with asyncio.timeout(20):
            await self.socket.wait_closed()
        return self.socket.close_code


def asked(given: Any = "Hello", **fields: Any) -> Document:
    return {"type": "response.create", "model": "double", "store": False, "input": given, **fields}
