"""A gateway the way most small ones are written: FastAPI with pydantic, a dependency for the key, a middleware for log
and metrics, one httpx client. What Tandem is measured against; kinder than many, which make a client for each request.

ENGINE_URL=http://127.0.0.1:8000 API_KEY=key uvicorn bench.naive_proxy:app
"""

import json
import logging
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from prometheus_client import Counter, Histogram
from pydantic import BaseModel, ConfigDict

client = httpx.AsyncClient(base_url=os.environ.get("ENGINE_URL", "http://127.0.0.1:8000"), timeout=600)
keys = {os.environ.get("API_KEY", "key")}
latency = Histogram("naive_request_seconds", "Time of a request", ["path", "status"])
tokens = Counter("naive_tokens", "Tokens", ["kind"])
log = logging.getLogger("naive")
log.addHandler(logging.StreamHandler())
log.setLevel(logging.INFO)


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


@app.middleware("http")
async def record(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    begun, request_id = time.perf_counter(), uuid.uuid4().hex
    response = await answer(request)
    seconds = time.perf_counter() - begun
    latency.labels(request.url.path, response.status_code).observe(seconds)
    line = {"id": request_id, "path": request.url.path, "status": response.status_code, "seconds": seconds}
    log.info(json.dumps(line))
    response.headers["X-Request-Id"] = request_id
    return response


def key(authorization: Annotated[str, Header()] = "") -> str:
    presented = authorization.removeprefix("Bearer ")
    if presented not in keys:
        raise HTTPException(401, "unknown key")
    return presented


@app.post("/v1/chat/completions", response_model=None)
async def chat(request: ChatRequest, _: Annotated[str, Depends(key)]) -> StreamingResponse | dict[str, Any]:
    if request.stream:
        return StreamingResponse(relay(request), media_type="text/event-stream")
    response = await client.post("/v1/chat/completions", json=request.model_dump(exclude_unset=True))
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    for kind, number in answer["usage"].items():
        if number:
            tokens.labels(kind).inc(number)
    return answer


async def relay(request: ChatRequest) -> AsyncIterator[str]:
    async with client.stream("POST", "/v1/chat/completions", json=request.model_dump(exclude_unset=True)) as response:
        async for line in response.aiter_lines():
            yield line + "\n"
