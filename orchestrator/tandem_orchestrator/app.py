"""Puts the orchestrator together."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send
from tandem_contract.config import BuiltinTool, OrchestratorConfig

from tandem_orchestrator.api import chat, errors, health, models
from tandem_orchestrator.api.documented import Api
from tandem_orchestrator.api.services import Services
from tandem_orchestrator.gateway.catalogue import Catalogue
from tandem_orchestrator.gateway.completions import ChatCompletions
from tandem_orchestrator.gateway.dispatch import Dispatcher
from tandem_orchestrator.gateway.endpoints import CHAT
from tandem_orchestrator.gateway.engine import Engine
from tandem_orchestrator.gateway.engines import Engines
from tandem_orchestrator.gateway.request import bounded
from tandem_orchestrator.observability.record import Recorded
from tandem_orchestrator.tools import outbound
from tandem_orchestrator.tools.calculator import Calculator
from tandem_orchestrator.tools.tool import Tool
from tandem_orchestrator.tools.toolbox import Toolbox
from tandem_orchestrator.tools.weather import Weather


class App:
    """The whole orchestrator as one ASGI application: the hot path in front of FastAPI."""

    def __init__(self, config: OrchestratorConfig) -> None:
        self._config = config
        self._http = outbound.Http([config.tools.weather.geocoding_url, config.tools.weather.forecast_url])
        self.services = Services(
            Engines([Engine(upstream, config.timeouts) for upstream in config.upstreams]),
            Toolbox(self._tools(), config.tools.timeout_seconds, config.tools.max_result_bytes),
        )
        self._rest = self._fastapi()
        self._completions = ChatCompletions(
            Catalogue(config.models, self.services.engines),
            Dispatcher(self.services.engines),
            self.services.toolbox,
            config,
        )
        self._recorded = Recorded(self._dispatch, lambda: self.services.draining)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        await self._recorded(scope, receive, send)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
        elif scope["path"] == CHAT and scope["method"] == "POST":
            scope["state"]["route"] = CHAT
            await self._completions(scope, receive, send)
        else:
            await self._rest(scope, bounded(receive, self._config.limits.max_body_bytes), send)

    def _tools(self) -> list[Tool]:
        makers: dict[BuiltinTool, Callable[[], Tool]] = {
            BuiltinTool.WEATHER: lambda: Weather(self._config.tools.weather, self._http),
            BuiltinTool.MATH: Calculator,
        }
        return [makers[name]() for name in self._config.tools.enabled]

    def _fastapi(self) -> FastAPI:
        app = Api(title="Tandem orchestrator", version=version("tandem-orchestrator"), lifespan=self._lifespan)
        app.state.services = self.services
        for part in (chat, models, health):
            app.include_router(part.router)
        app.exception_handlers.update(errors.HANDLERS)
        return app

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(self.services.engines.watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await self._http.close()
            self.services.engines.close()
