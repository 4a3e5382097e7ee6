"""What the one list of parts is good for."""

import asyncio

import httpx
from tandem_contract.config import OrchestratorConfig
from tandem_orchestrator.app import App
from tandem_orchestrator.part import Part


class Watched(Part):
    """A part that notes what is done to it."""

    def __init__(self) -> None:
        self.checked = False
        self.done: list[str] = []
        self.watched = asyncio.Event()

    def update(self, config: OrchestratorConfig) -> None:
        self.done.append(f"updated with {config.upstreams[0].name}")

    async def watch(self) -> None:
        self.watched.set()
        await asyncio.Event().wait()

    @property
    def problems(self) -> list[str]:
        return ["it creaks"]

    async def close(self) -> None:
        self.done.append("closed")


def config(name: str) -> OrchestratorConfig:
    upstreams = [{"name": name, "url": "http://127.0.0.1:9"}]
    return OrchestratorConfig.model_validate({"upstreams": upstreams, "database": {"url": "sqlite:///nowhere/t.db"}})


async def until_closed(app: App, stop: asyncio.Event) -> None:
    """Be the server: begin the lifespan and end it when told to."""

    async def receive():
        if not stop.is_set() and not begun.is_set():
            begun.set()
            return {"type": "lifespan.startup"}
        await stop.wait()
        return {"type": "lifespan.shutdown"}

    async def send(_):
        pass

    begun = asyncio.Event()
    await app.asgi({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)


async def test_a_part_in_the_list_is_watched_updated_asked_and_closed():
    app, part, stop = App(config("a")), Watched(), asyncio.Event()
    app.parts.append(part)
    serving = asyncio.create_task(until_closed(app, stop))
    async with asyncio.timeout(10), httpx.AsyncClient(transport=httpx.ASGITransport(app.asgi)) as client:
        await part.watched.wait()
        app.reload(config("b"))
        health = (await client.get("http://test/health")).json()
        assert "it creaks" in health["problems"]
        assert (await client.get("http://test/ready")).status_code == 503
        stop.set()
        await serving
    assert part.done == ["updated with b", "closed"]


async def test_what_others_use_is_closed_behind_them(monkeypatch):
    app, stop = App(config("a")), asyncio.Event()
    closed: list[Part] = []

    async def close(part):
        closed.append(part)

    for part in app.parts:
        monkeypatch.setattr(type(part), "close", close)
    stop.set()
    await until_closed(app, stop)
    assert closed == app.parts[::-1]
    assert [type(part).__name__ for part in closed[-1:]] == ["Database"]
