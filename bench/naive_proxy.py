"""A gateway the way most small ones are written: FastAPI, a pydantic model, one httpx client. What Tandem is not.

ENGINE_URL=http://127.0.0.1:8000 uvicorn bench.naive_proxy:app
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

client = httpx.AsyncClient(base_url=os.environ.get("ENGINE_URL", "http://127.0.0.1:8000"), timeout=600)


class Message(BaseModel):
    model_config = ConfigDict(extra="allow")

    role: str
    content: str | None = None


class ChatRequest(BaseModel):
    model_config = ConfigDict(extra="allow")

    model: str
    messages: list[Message]
    stream: bool = False


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    await client.aclose()


app = FastAPI(lifespan=lifespan)


@app.post("/v1/chat/completions", response_model=None)
async def chat(request: ChatRequest) -> StreamingResponse | dict[str, Any]:
    if request.stream:
        return StreamingResponse(relay(request), media_type="text/event-stream")
    response = await client.post("/v1/chat/completions", json=request.model_dump(exclude_unset=True))
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer


async def relay(request: ChatRequest) -> AsyncIterator[str]:
    async with client.stream("POST", "/v1/chat/completions", json=request.model_dump(exclude_unset=True)) as response:
        async for line in response.aiter_lines():
            yield line + "\n"
