"""What tests ask of an orchestrator about batches, by OpenAI's client."""

import asyncio
from typing import Any

import openai
import orjson

from tests.sockets.running import config_for

CHAT = "/v1/chat/completions"
ENDED = ("completed", "failed", "expired", "cancelled")


def client_of(server: Any, key: str = "client-key") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)


def config(engine: Any, url: str, folder: Any, **settings: Any) -> Any:
    files = {"folder": str(folder)}
    return config_for(engine, database={"url": url}, files=files, **settings)


def line(custom_id: str, body: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    body = {"model": "double", "messages": [{"role": "user", "content": custom_id}]} if body is None else body
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body, **fields}


def lines(number: int) -> list[dict[str, Any]]:
    return [line(f"line {n}") for n in range(number)]


def jsonl(documents: list[Any]) -> bytes:
    return b"".join(orjson.dumps(document) + b"\n" for document in documents)


async def begun(client: openai.AsyncOpenAI, content: bytes, endpoint: Any = CHAT, **fields: Any) -> Any:
    file = await client.files.create(file=("input.jsonl", content), purpose="batch")
    fields = {"completion_window": "24h", **fields}
    return await client.batches.create(input_file_id=file.id, endpoint=endpoint, **fields)


async def ended(client: openai.AsyncOpenAI, batch_id: str, seconds: float = 30.0) -> Any:
    """Waits until a batch has ended."""
    async with asyncio.timeout(seconds):
        while (batch := await client.batches.retrieve(batch_id)).status not in ENDED:  # noqa: ASYNC110 # of others' hands
            await asyncio.sleep(0.02)
        return batch


async def until_batch(client: openai.AsyncOpenAI, batch_id: str, condition: Any, seconds: float = 30.0) -> Any:
    """Waits until a condition holds of a batch."""
    async with asyncio.timeout(seconds):
        while not condition(batch := await client.batches.retrieve(batch_id)):  # noqa: ASYNC110 # as above
            await asyncio.sleep(0.02)
        return batch


async def content(client: openai.AsyncOpenAI, file_id: str | None) -> list[dict[str, Any]]:
    """The lines of a file."""
    if file_id is None:
        return []
    answer = await client.files.content(file_id)
    return [orjson.loads(each) for each in answer.content.splitlines()]


def asked_of(engine: Any) -> list[str]:
    """What each request that came to an engine said."""
    return [seen.body["messages"][0]["content"] for seen in engine.seen]
