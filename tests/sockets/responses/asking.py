"""A client of /v1/responses and /v1/conversations that checks every answer it gets."""

import asyncio
from typing import Any

import aiohttp

from tests.responses_schema import (
    Event,
    Stream,
    check_compaction,
    check_conversation,
    check_conversation_deleted,
    check_conversation_items,
    check_error,
    check_input_items,
    check_response,
    check_response_deleted,
    check_stream,
    read_events,
)
from tests.responses_schema.lists import check_conversation_item

Document = dict[str, Any]


class ResponsesClient:
    """Asks an orchestrator, with a key where it has one; what it gets back has been checked."""

    def __init__(self, http: aiohttp.ClientSession, key: str | None = None, *, standard: bool = False) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.begun: list[str] = []
        """Ids of the streams that have begun."""
        self._standard = standard
        """Whether the orchestrator calls reasoning as Open Responses does."""

    async def call(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """The JSON of an answer that has to have a status; of an error what is in its `error`."""
        async with self._http.request(method, f"/v1{path}", headers=self._headers, **options) as response:
            document = await response.json()
            assert response.status == status, document
        if status < 400:
            return document
        check_error(document)
        return document["error"]

    async def create(self, given: Any = "Hello", **fields: Any) -> Document:
        """A response."""
        response: Document = await self.call("POST", "/responses", json=_body(given, fields))
        check_response(response)
        return response

    async def refused(self, status: int, given: Any = "Hello", **fields: Any) -> Document:
        """The error for a request that is refused."""
        error: Document = await self.call("POST", "/responses", status, json=_body(given, fields))
        return error

    async def stream(self, given: Any = "Hello", **fields: Any) -> Stream:
        """A streamed response."""
        body = _body(given, {"stream": True, **fields})
        async with self._http.post("/v1/responses", json=body, headers=self._headers) as response:
            assert response.status == 200, await response.text()
            assert response.content_type == "text/event-stream"
            events: list[Event] = []
            async for event in read_events(response):
                events.append(event)
                if event.name == "response.created":
                    self.begun.append(event.document["response"]["id"])
        return check_stream(events, standard=self._standard)

    async def either(self, given: Any = "Hello", *, stream: bool, **fields: Any) -> Document:
        """A response, asked for in one piece or as a stream."""
        return (await self.stream(given, **fields)).response if stream else await self.create(given, **fields)

    async def get(self, response_id: str) -> Document:
        """A stored response."""
        response: Document = await self.call("GET", f"/responses/{response_id}")
        check_response(response)
        return response

    async def ended(self, response_id: str) -> Document:
        """A response, once it has ended."""
        async with asyncio.timeout(10):
            while (response := await self.get(response_id))["status"] in ("queued", "in_progress"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # it is another process's, as far as a client knows
        return response

    async def read_again(self, response_id: str, after: int = -1) -> Stream:
        """The events of a response after a number."""
        params = {"stream": "true", "starting_after": str(after)}
        path = f"/v1/responses/{response_id}"
        async with self._http.get(path, params=params, headers=self._headers) as response:
            assert response.status == 200, await response.text()
            assert response.content_type == "text/event-stream"
            events: list[Event] = [event async for event in read_events(response)]
        return check_stream(events, start=after + 1, standard=self._standard)

    async def cancel(self, response_id: str) -> Document:
        """Cancels a response."""
        response: Document = await self.call("POST", f"/responses/{response_id}/cancel")
        check_response(response)
        return response

    async def compact(self, given: Any = None, **fields: Any) -> Document:
        """A compaction."""
        compaction: Document = await self.call("POST", "/responses/compact", json=_body(given, fields))
        check_compaction(compaction)
        return compaction

    async def tokens(self, given: Any = "Hello", **fields: Any) -> int:
        """How many tokens an input is."""
        counted: Document = await self.call("POST", "/responses/input_tokens", json=_body(given, fields))
        assert counted.keys() == {"object", "input_tokens"}
        assert counted["object"] == "response.input_tokens"
        number: int = counted["input_tokens"]
        return number

    async def delete(self, response_id: str) -> None:
        """Deletes a response."""
        check_response_deleted(await self.call("DELETE", f"/responses/{response_id}"))

    async def input_items(self, response_id: str, **page: Any) -> Document:
        """A page of what a response was given."""
        items: Document = await self.call("GET", f"/responses/{response_id}/input_items", params=page)
        check_input_items(items)
        return items

    async def converse(self, **fields: Any) -> Document:
        """A new conversation."""
        conversation: Document = await self.call("POST", "/conversations", json=fields)
        check_conversation(conversation)
        return conversation

    async def conversation(self, conversation_id: str, method: str = "GET", **options: Any) -> Document:
        """A conversation, as it is or as it is after a change."""
        conversation: Document = await self.call(method, f"/conversations/{conversation_id}", **options)
        check_conversation(conversation)
        return conversation

    async def delete_conversation(self, conversation_id: str) -> None:
        """Deletes a conversation."""
        check_conversation_deleted(await self.call("DELETE", f"/conversations/{conversation_id}"))

    async def items(self, conversation_id: str, **page: Any) -> Document:
        """A page of a conversation."""
        items: Document = await self.call("GET", f"/conversations/{conversation_id}/items", params=page)
        check_conversation_items(items)
        return items

    async def add_items(self, conversation_id: str, *items: Document) -> Document:
        """Adds items to a conversation."""
        added: Document = await self.call("POST", f"/conversations/{conversation_id}/items", json={"items": items})
        check_conversation_items(added)
        return added

    async def item(self, conversation_id: str, item_id: str) -> Document:
        """An item of a conversation."""
        item: Document = await self.call("GET", f"/conversations/{conversation_id}/items/{item_id}")
        check_conversation_item(item)
        return item

    async def delete_item(self, conversation_id: str, item_id: str) -> None:
        """Deletes an item of a conversation."""
        check_conversation(await self.call("DELETE", f"/conversations/{conversation_id}/items/{item_id}"))


def text_of(response: Document) -> str:
    """All that a response says to the user."""
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


def types_of(items: list[Document]) -> list[str]:
    """The items' types."""
    return [item["type"] for item in items]


def says(text: str, role: str = "user") -> Document:
    """A message as a client sends it."""
    return {"type": "message", "role": role, "content": text}


def _body(given: Any, fields: Document) -> Document:
    return {"model": "double", **({} if given is None else {"input": given}), **fields}
