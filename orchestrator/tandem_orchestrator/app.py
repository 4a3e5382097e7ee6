"""Puts the orchestrator together, and together again when its configuration changes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send
from tandem_contract.config import BuiltinTool, OrchestratorConfig

from tandem_orchestrator.api import chat, errors, health, models
from tandem_orchestrator.api.documented import Api
from tandem_orchestrator.api.services import Services, State
from tandem_orchestrator.auth.keys import Keys
from tandem_orchestrator.gateway.admission import Admission
from tandem_orchestrator.gateway.catalogue import Catalogue
from tandem_orchestrator.gateway.dispatch import Dispatcher
from tandem_orchestrator.gateway.endpoints import ENDPOINTS
from tandem_orchestrator.gateway.engines import Engines
from tandem_orchestrator.gateway.hot_path import HotPath
from tandem_orchestrator.gateway.request import body_limit, bounded
from tandem_orchestrator.gateway.time_limit import TimeLimit
from tandem_orchestrator.limits.limiter import Limiter
from tandem_orchestrator.middleware import guarded
from tandem_orchestrator.observability.record import Recorded
from tandem_orchestrator.tools import outbound
from tandem_orchestrator.tools.calculator import Calculator
from tandem_orchestrator.tools.tool import Tool
from tandem_orchestrator.tools.toolbox import Toolbox
from tandem_orchestrator.tools.weather import Weather

BACKGROUND_RETRY_SECONDS = 5.0

log = structlog.get_logger()


@dataclass(slots=True)
class Generation:
    """What serves requests under one configuration; closed when it is replaced and its last request has ended."""

    services: Services
    http: outbound.Http
    hot_path: ASGIApp
    body_limit: TimeLimit
    open_requests: int = 0
    retired: bool = False

    async def close(self) -> None:
        """Closes what no other generation uses."""
        await self.http.close()


class App:
    """The whole orchestrator as one ASGI application: the hot path in front of FastAPI."""

    def __init__(self, config: OrchestratorConfig) -> None:
        self._state = State()
        self._engines = Engines(config)
        self._catalogue = Catalogue(config.models, self._engines)
        self._dispatcher = Dispatcher(config, self._catalogue, self._engines)
        self._keys = Keys()
        self._limiter = Limiter(config.rate_limits)
        self._now = self._generation(config)
        self._closing: set[asyncio.Task[None]] = set()
        self._rest = self._fastapi()
        self._recorded = Recorded(guarded(self._dispatch, config.server), lambda: self._state.draining)

    @property
    def services(self) -> Services:
        """The parts that serve the next request."""
        return self._now.services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        await self._recorded(scope, receive, send)

    def reload(self, config: OrchestratorConfig) -> None:
        """Serves requests under `config` from now on; those in flight go on under the one before."""
        self._dispatcher.update(config)
        before, self._now = self._now, self._generation(config)
        self._rest.state.services = self.services
        before.retired = True
        self._close_if_unused(before)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        generation = self._now
        generation.open_requests += 1
        try:
            if scope["path"] in ENDPOINTS:
                await generation.hot_path(scope, receive, send)
            else:
                limit = generation.services.config.limits.max_body_bytes
                await self._rest(scope, bounded(receive, limit, generation.body_limit), send)
        finally:
            generation.open_requests -= 1
            if generation.retired:
                self._close_if_unused(generation)

    def _close_if_unused(self, generation: Generation) -> None:
        if not generation.open_requests:
            task = asyncio.get_running_loop().create_task(generation.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _generation(self, config: OrchestratorConfig) -> Generation:
        http = outbound.Http([config.tools.weather.geocoding_url, config.tools.weather.forecast_url])
        toolbox = Toolbox(_tools(config, http), config.tools.timeout_seconds, config.tools.max_result_bytes)
        admission = Admission(self._keys, self._limiter, self._catalogue)
        services = Services(config, self._state, self._engines, admission, self._catalogue, self._dispatcher, toolbox)
        hot_path = HotPath(admission, self._dispatcher, toolbox, config)
        return Generation(services, http, hot_path, body_limit(config.timeouts.body_seconds))

    def _fastapi(self) -> FastAPI:
        app = Api(title="Tandem orchestrator", version=version("tandem-orchestrator"), lifespan=self._lifespan)
        app.state.services = self.services
        for part in (chat, models, health):
            app.include_router(part.router)
        app.exception_handlers.update(errors.HANDLERS)
        return app

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        watching = [asyncio.create_task(_keep_running(part.watch)) for part in (self._engines,)]
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, *self._closing, self._now.close(), return_exceptions=True)
            self._engines.close()


async def _keep_running(watch: Callable[[], Awaitable[None]]) -> None:
    """Runs a part's background work until cancelled; a defect in it must not end it for good."""
    while True:
        try:
            await watch()
        except Exception:
            log.exception("background work failed, it starts again", part=watch.__qualname__)
        await asyncio.sleep(BACKGROUND_RETRY_SECONDS)


def _tools(config: OrchestratorConfig, http: outbound.Http) -> list[Tool]:
    makers: dict[BuiltinTool, Callable[[], Tool]] = {
        BuiltinTool.WEATHER: lambda: Weather(config.tools.weather, http),
        BuiltinTool.MATH: Calculator,
    }
    return [makers[name]() for name in config.tools.enabled if name in makers]
