"""What tests ask of an orchestrator about responses, over HTTP."""

import asyncio
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

UNFINISHED = ("queued", "in_progress")


@dataclass
class Answer:
    status: int
    body: Any
    headers: Any

    @property
    def code(self) -> str:
        """What an error is called."""
        assert set(self.body["error"]) == {"message", "type", "param", "code"}
        return str(self.body["error"]["code"])


async def ask(server: Any, method: str, path: str, key: str | None = None, **body: Any) -> Answer:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with server.client.request(method, f"/v1/{path}", json=body or None, headers=headers) as response:
        return Answer(response.status, await response.json(), response.headers)


async def respond(server: Any, key: str | None = None, **fields: Any) -> Answer:
    """The answer to a request for a response about nothing in particular."""
    return await ask(server, "POST", "responses", key, **{"model": "double", "input": "Hello", **fields})


async def made(server: Any, key: str | None = None, **fields: Any) -> dict[str, Any]:
    """The same, which goes well."""
    answer = await respond(server, key, **fields)
    assert answer.status == 200, answer
    return answer.body


async def show(server: Any, response_id: str, key: str | None = None) -> dict[str, Any]:
    answer = await ask(server, "GET", f"responses/{response_id}", key)
    assert answer.status == 200, answer
    return answer.body


async def ended(server: Any, response_id: str, key: str | None = None, seconds: float = 15.0) -> dict[str, Any]:
    """Waits until a response has ended, and shows it."""
    async with asyncio.timeout(seconds):
        while (response := await show(server, response_id, key))["status"] in UNFINISHED:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return response


async def each_ended(server: Any, response_ids: list[str], seconds: float = 30.0) -> list[dict[str, Any]]:
    return [await ended(server, each, seconds=seconds) for each in response_ids]


async def events_of(response: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    """A stream's events, whose numbers have no gap."""
    assert response.status == 200, await response.text()
    found = [orjson.loads(line[6:]) async for line in response.content if line.startswith(b"data: {")]
    numbers = [event["sequence_number"] for event in found]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), numbers
    return found


async def streamed(server: Any, **fields: Any) -> list[dict[str, Any]]:
    body = {"model": "double", "input": "Hello", "stream": True, **fields}
    async with server.client.post("/v1/responses", json=body) as response:
        return await events_of(response)


async def read_again(server: Any, response_id: str, after: int = -1) -> list[dict[str, Any]]:
    params = {"stream": "true", "starting_after": str(after)}
    async with server.client.get(f"/v1/responses/{response_id}", params=params) as response:
        return await events_of(response)


class Reading:
    """A stream that is read beside the test."""

    def __init__(self, server: Any, **fields: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self._server = server
        self._body = {"model": "double", "input": "Hello", "stream": True, **fields}
        self.task = asyncio.create_task(self._read())

    @property
    def id(self) -> str:
        return str(self.events[0]["response"]["id"])

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    async def _read(self) -> None:
        async with self._server.client.post("/v1/responses", json=self._body) as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                if line.startswith(b"data: {"):
                    self.events.append(orjson.loads(line[6:]))
