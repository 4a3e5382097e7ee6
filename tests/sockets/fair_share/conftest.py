"""Tenants in front of an engine that takes few requests, and answers one whenever a test says so."""

import asyncio
from typing import Any

import pytest

from tests.engine_double import EngineDouble
from tests.sockets.running import Orchestrator, config_for, question, until

PERMITS = 10_000  # all there can be use for


class Crowd:
    """Asks for tenants, whose key is their name and `-key`, and tells in which order the engine gets what they ask."""

    def __init__(self, orchestrator: Orchestrator, engine: EngineDouble) -> None:
        self.orchestrator = orchestrator
        self.engine = engine
        self.tasks: list[asyncio.Task[tuple[int, Any]]] = []

    @property
    def waiting(self) -> int:
        return self.orchestrator.app.services.dispatcher._hold.waiting.count

    @property
    def order(self) -> str:
        """The tenants of what the engine got, in that order."""
        return "".join(seen.body["who"] for seen in self.engine.seen)

    async def ask(self, tenant: str, times: int = 1, **fields: Any) -> list[asyncio.Task[tuple[int, Any]]]:
        """Asks so many times, one after the other, without waiting for answers."""
        new = []
        for _ in range(times):
            before = self.waiting + len(self.engine.seen)
            new.append(asyncio.create_task(self.answer(tenant, **fields)))
            await until(lambda before=before: self.waiting + len(self.engine.seen) > before)
        self.tasks += new
        return new

    async def answer(self, tenant: str, **fields: Any) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {tenant}-key"} if tenant != "anonymous" else {}
        body = question(who=tenant[0], **fields)
        async with self.orchestrator.client.post("/v1/chat/completions", json=body, headers=headers) as response:
            return response.status, await response.json()

    async def let_answer(self, times: int) -> None:
        """Has so many requests answered, one after the other, each when what came for the last one is there."""
        assert self.engine.gate is not None
        for _ in range(times):
            seen = len(self.engine.seen)
            self.engine.gate.release()
            await until(lambda seen=seen: len(self.engine.seen) > seen)

    async def end(self) -> list[int]:
        """Has all answered; returns the statuses."""
        assert self.engine.gate is not None
        for _ in range(PERMITS):
            self.engine.gate.release()
        return [status for status, _ in await asyncio.gather(*self.tasks)]


@pytest.fixture
async def crowd(serve, engine):
    """Starts a crowd in front of an engine that takes two at a time, and has been given them by the tenant `x`."""
    crowds = []

    async def start(concurrency: int | None = 2, **settings: Any) -> Crowd:
        engine.gate = asyncio.Semaphore(0)
        config = config_for(engine, keys={"values": [f"{name}:{name}-key" for name in "abcx"]}, **settings)
        config.upstreams[0].concurrency = concurrency
        crowd = Crowd(await serve(config), engine)
        crowds.append(crowd)
        if concurrency is not None:
            await crowd.ask("x", concurrency)
        return crowd

    yield start
    for crowd in crowds:
        for task in crowd.tasks:
            task.cancel()
        await asyncio.gather(*crowd.tasks, return_exceptions=True)
