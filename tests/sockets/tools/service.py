"""An HTTP service that answers as it is told and remembers what it was asked."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from tests.engine_double.http import Exchange, HttpServer


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


@dataclass
class Says:
    body: Any = field(default_factory=dict)
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class Service(HttpServer):
    """`async with Service() as service:`; `service.says[path]` is the answer to any request to the path."""

    def __init__(self) -> None:
        self.says: dict[str, Says] = {}
        self.asked: list[Asked] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.waiting = 0
        self.most = 0

    async def _handle(self, exchange: Exchange) -> None:
        target = urlsplit(exchange.target)
        body = exchange.body.decode()
        if "json" in exchange.headers.get("content-type", ""):
            body = orjson.loads(body)
        path = unquote(target.path)
        self.asked.append(Asked(exchange.method, path, parse_qs(target.query), exchange.headers, body))
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        try:
            await self.hold.wait()
        finally:
            self.waiting -= 1
        says = self.says.get(path, Says({"error": "no such thing"}, 404))
        raw = says.body if isinstance(says.body, bytes) else orjson.dumps(says.body)
        await exchange.answer(says.status, raw, says.kind, **says.headers)
