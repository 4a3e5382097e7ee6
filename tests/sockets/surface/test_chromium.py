"""A page in a real browser, on an origin of its own, asks as OpenAI's client for JavaScript does."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from hack import tools
from tests.sockets.keys.service import make, with_admin
from tests.sockets.running import question
from tests.sockets.surface.asking import CHAT

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
STAINLESS = {
    "accept": "application/json",
    "authorization": "Bearer right",
    "content-type": "application/json",
    "openai-organization": "an-organization",
    "openai-project": "a-project",
    "user-agent": "OpenAI/JS 6.49.0",
    "x-stainless-arch": "unknown",
    "x-stainless-helper-method": "stream",
    "x-stainless-lang": "js",
    "x-stainless-os": "Unknown",
    "x-stainless-package-version": "6.49.0",
    "x-stainless-retry-count": "0",
    "x-stainless-runtime": "browser:chrome",
    "x-stainless-runtime-version": "156.0.0",
    "x-stainless-timeout": "600",
}
"""What openai 6.49.0 sends from a page, and what it sends for a stream and with a timeout."""
PAGE = """
<script>
const told = {};
const ask = async ([name, url, options]) => {
  try {
    const answer = await fetch(url, options);
    told[name] = {status: answer.status, headers: Object.fromEntries(answer.headers), text: await answer.text()};
  } catch (error) {
    told[name] = {status: 0, text: String(error)};
  }
};
Promise.all(REQUESTS.map(ask)).then(() => fetch("/told", {method: "POST", body: JSON.stringify(told)}));
</script>
"""

Told = dict[str, dict[str, Any]]


class Site:
    """A web server of the page's own, to which the page tells what became of its requests."""

    def __init__(self) -> None:
        self.origin = ""
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.told: asyncio.Future[Told] = asyncio.get_running_loop().create_future()

    async def page(self, _: web.Request) -> web.Response:
        return web.Response(text=PAGE.replace("REQUESTS", json.dumps(self.requests)), content_type="text/html")

    async def take(self, request: web.Request) -> web.Response:
        self.told.set_result(await request.json())
        return web.Response()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.add_routes([web.get("/", site.page), web.post("/told", site.take)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    await runner.cleanup()


@asynccontextmanager
async def chromium(url: str, folder: Path) -> AsyncIterator[None]:
    """A browser that shows a page."""
    browser = await asyncio.create_subprocess_exec(
        tools.executable("chromium"),
        *FLAGS,
        "--remote-debugging-port=0",  # or it would end with the page's first state
        f"--user-data-dir={folder}",
        url,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        browser.terminate()
        await browser.wait()


async def seen(site: Site, folder: Path) -> Told:
    """What the page tells of its requests."""
    async with chromium(site.origin, folder), asyncio.timeout(60):
        return await site.told


def post(headers: dict[str, str], method: str = "POST", **body: Any) -> dict[str, Any]:
    return {"method": method, "headers": headers, "body": json.dumps(body or question())}


async def test_a_page_of_an_allowed_origin_asks_as_openais_client_does(serve, engine, site, tmp_path):
    config = with_admin(engine, tmp_path, f"sqlite:///{tmp_path}/tandem.db", values=["right"])
    config.rate_limits.defaults.requests_per_minute = 60
    config.server.cors.allow_origins = [site.origin]
    orchestrator = await serve(config)
    key_id, _ = await make(orchestrator)
    url, admin = f"{orchestrator.url}{CHAT}", {**STAINLESS, "authorization": "Bearer the-admin-key"}
    site.requests = [
        ("models", f"{orchestrator.url}/v1/models", {"headers": STAINLESS}),
        ("whole", url, post(STAINLESS)),
        ("streamed", url, post(STAINLESS, **question(stream=True))),
        ("without tools", url, post({**STAINLESS, "x-tandem-tools": "none"})),
        ("no such model", url, post(STAINLESS, **question(model="nothing"))),
        ("no key", url, post({**STAINLESS, "authorization": "Bearer wrong"})),
        ("patch", f"{orchestrator.url}/admin/keys/{key_id}", post(admin, "PATCH", requestsPerMinute=7)),
        ("delete", f"{orchestrator.url}/admin/keys/nobody", {"method": "DELETE", "headers": admin}),
    ]
    told = await seen(site, tmp_path / "profile")
    assert {name: answer["status"] for name, answer in told.items()} == {
        "models": 200,
        "whole": 200,
        "streamed": 200,
        "without tools": 200,
        "no such model": 404,
        "no key": 401,
        "patch": 200,
        "delete": 404,
    }
    assert told["streamed"]["text"].endswith("data: [DONE]\n\n")
    assert '"requestsPerMinute":7' in told["patch"]["text"]
    for answer in told.values():
        assert answer["headers"]["x-request-id"]
    assert int(told["whole"]["headers"]["x-ratelimit-remaining-requests"]) < 60


async def test_a_page_of_another_origin_learns_nothing(serve, engine, site, tmp_path):
    config = with_admin(engine, tmp_path, f"sqlite:///{tmp_path}/tandem.db", values=["right"])
    config.server.cors.allow_origins = ["https://chat.example.com"]
    orchestrator = await serve(config)
    site.requests = [
        ("asked", f"{orchestrator.url}{CHAT}", post(STAINLESS)),
        ("read", f"{orchestrator.url}/health", {}),
    ]
    told = await seen(site, tmp_path / "profile")
    assert [answer["status"] for answer in told.values()] == [0, 0]
    assert not engine.seen
