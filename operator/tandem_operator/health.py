"""/healthz and /metrics of the operator."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from tandem_operator.kube import metrics

_OLDEST_BEAT: Final = 180.0


class Heartbeat:
    """When the resync last came round; a replica that stands by has none and is healthy."""

    def __init__(self) -> None:
        self._last: float | None = None

    def beat(self) -> None:
        """Say that the resync comes round."""
        self._last = time.monotonic()

    def age(self) -> float:
        """Return the seconds since the last beat; 0 before the first."""
        return time.monotonic() - self._last if self._last is not None else 0.0


@asynccontextmanager
async def health_server(port: int, heartbeat: Heartbeat) -> AsyncIterator[int]:
    """Serve on a port, 0 for any that is free, and yield it."""

    async def healthz(_: web.Request) -> web.Response:
        age = heartbeat.age()
        return web.json_response({"lastResyncSeconds": round(age, 1)}, status=200 if age < _OLDEST_BEAT else 503)

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/metrics", exposition)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, port=port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
