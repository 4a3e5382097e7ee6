"""The orchestrator over real sockets, in the test's own loop."""

import asyncio
from typing import Any

import aiohttp
import uvicorn
from tandem_contract.config import OrchestratorConfig
from tandem_orchestrator.app import App
from tandem_orchestrator.gateway import hot_path
from tandem_orchestrator.transport.client_connection import protocol_for
from uvicorn.lifespan.on import LifespanOn
from uvicorn.server import ServerState

from tests.engine_double import EngineDouble
from tests.engine_double.listener import Listener

COMPILED = not hot_path.__file__.endswith(".py")
NO_PATCHES = "it replaces a method, which compiled code does not look up"

AT_ONCE = {"routing": {"retries": 0}, "hold": {"maxRequests": 0}}  # settings with which a first failure shows
QUESTION = [{"role": "user", "content": "Hello"}]
MATH_TOOL = {
    "type": "function",
    "function": {
        "name": "calculate_math",
        "description": "Evaluate a mathematical expression",
        "parameters": {
            "type": "object",
            "properties": {"expression": {"type": "string"}},
            "required": ["expression"],
        },
    },
}


class Orchestrator:
    """A serving orchestrator and a client that talks to it."""

    def __init__(self, config: OrchestratorConfig) -> None:
        self.config = config
        self.app = App(config)
        self.upstreams = self.app.services.upstreams
        self.url = ""
        self.client: aiohttp.ClientSession

    async def start(self) -> None:
        protocol: Any = protocol_for(self.config)
        config = uvicorn.Config(
            self.app.asgi, http=protocol, ws="none", lifespan="on", log_config=None, access_log=False
        )
        config.load()
        self._lifespan = LifespanOn(config)
        await self._lifespan.startup()
        self.state = state = ServerState()
        self._listener = Listener(lambda: protocol(config=config, server_state=state, app_state={}))
        self.url = f"http://127.0.0.1:{self._listener.start('127.0.0.1')}"
        self.client = aiohttp.ClientSession(self.url)
        await until(lambda: self.upstreams.checked and self.app.services.keys.checked, 20.0)  # tables may be made first

    def shut_down(self) -> None:
        """Does what the server does with its connections when it ends."""
        self.app.services.state.draining = True
        for connection in tuple(self.state.connections):
            connection.shutdown()

    async def stop(self) -> None:
        await self.client.close()
        self._listener.refuse()
        await self._lifespan.shutdown()
        await self._listener.aclose()

    @property
    def busy(self) -> int:
        return sum(engine.in_flight for engine in self.upstreams.all)

    async def chat(self, **fields: Any) -> tuple[int, Any]:
        """Status and JSON of a chat request about nothing in particular."""
        async with self.client.post("/v1/chat/completions", json=question(**fields)) as response:
            return response.status, await response.json()

    async def stream(self, **fields: Any) -> str:
        """The whole text of a streamed chat request."""
        async with self.client.post("/v1/chat/completions", json=question(stream=True, **fields)) as response:
            assert response.status == 200, await response.text()
            assert response.content_type == "text/event-stream"
            return await response.text()

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        async with self.client.get(path, headers=headers) as response:
            return response.status, await response.json()


def question(**fields: Any) -> dict[str, Any]:
    return {"model": "double", "messages": QUESTION, **fields}


def config_for(*engines: EngineDouble, **settings: Any) -> OrchestratorConfig:
    upstreams = [{"name": f"engine-{n}", "url": engine.url, "model": engine.model} for n, engine in enumerate(engines)]
    return OrchestratorConfig.model_validate({"upstreams": upstreams, **settings})


async def until(condition: Any, seconds: float = 20.0) -> None:
    """Waits for `condition`, at most `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 # what is waited for lies in other hands
            await asyncio.sleep(0.002)


async def until_awaited(ask: Any, condition: Any, seconds: float = 20.0) -> None:
    """Waits until `condition` holds of what `ask` returns once awaited, at most `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition(await ask()):  # noqa: ASYNC110 # as above
            await asyncio.sleep(0.05)
