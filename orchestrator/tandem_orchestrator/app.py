"""Puts the orchestrator together, and together again when its configuration changes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.api import (
    batches,
    chat,
    conversations,
    errors,
    files,
    health,
    keys,
    models,
    tasks,
    uploads,
    vector_stores,
)
from tandem_orchestrator.api import responses as responses_api
from tandem_orchestrator.api.body import bounded, is_arriving
from tandem_orchestrator.api.documented import Api
from tandem_orchestrator.api.services import Services, State
from tandem_orchestrator.audio.spool import Spool
from tandem_orchestrator.audio.transcription import Transcriptions
from tandem_orchestrator.auth.keys import Keys
from tandem_orchestrator.batches.attempt import Means as BatchMeans
from tandem_orchestrator.batches.desk import Desk
from tandem_orchestrator.batches.endpoints import Makers
from tandem_orchestrator.batches.load import Loads
from tandem_orchestrator.batches.runner import Runner
from tandem_orchestrator.engines.catalogue import Catalogue
from tandem_orchestrator.engines.dispatch import Dispatcher
from tandem_orchestrator.engines.endpoints import FORMS, MODERATIONS, TOKENIZE
from tandem_orchestrator.engines.tool_calling.verification import ToolCalling
from tandem_orchestrator.engines.upstreams import Upstreams
from tandem_orchestrator.error_shape import MESSAGES
from tandem_orchestrator.files.filing import Filing
from tandem_orchestrator.files.sweeper import Sweeper
from tandem_orchestrator.gateway.admission import Admission
from tandem_orchestrator.gateway.answer_cache import answer_cache
from tandem_orchestrator.gateway.generate import Generator
from tandem_orchestrator.gateway.guard_models import GuardModels
from tandem_orchestrator.gateway.hot_path import HotPath
from tandem_orchestrator.gateway.moderation import Moderations
from tandem_orchestrator.gateway.request import deadlines
from tandem_orchestrator.gateway.tokenize import Tokenizer
from tandem_orchestrator.guardrails.moderation_client import ModerationClient
from tandem_orchestrator.guardrails.rails import Rails
from tandem_orchestrator.limits.limiter import Limiter
from tandem_orchestrator.limits.sql_ledger import Ledger
from tandem_orchestrator.limits.upkeep import Upkeep
from tandem_orchestrator.limits.worker_counters import SharedCounters
from tandem_orchestrator.messages.service import Messages
from tandem_orchestrator.middleware import guarded
from tandem_orchestrator.observability.recorded import Recorded
from tandem_orchestrator.responses.attempt import Means
from tandem_orchestrator.responses.background import Background
from tandem_orchestrator.responses.preparation import Preparation
from tandem_orchestrator.responses.retention import Retention
from tandem_orchestrator.responses.service import Responses
from tandem_orchestrator.responses.socket import Serving, Sockets
from tandem_orchestrator.responses.stores import Stores
from tandem_orchestrator.retrieval.embedding.embedders import Embedders
from tandem_orchestrator.retrieval.extras import Extras
from tandem_orchestrator.retrieval.file_search import FileSearch
from tandem_orchestrator.retrieval.ingestion import Ingestion
from tandem_orchestrator.retrieval.kept import Kept
from tandem_orchestrator.retrieval.rerank import Reranker
from tandem_orchestrator.retrieval.rewriting import Rewriter
from tandem_orchestrator.retrieval.search import Search
from tandem_orchestrator.retrieval.service import Retrieval
from tandem_orchestrator.retrieval.upkeep import Upkeep as StoresUpkeep
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.tasks.service import Tasks
from tandem_orchestrator.tools.running import RunningTools

BACKGROUND_RETRY_SECONDS: Final = 5.0

if TYPE_CHECKING:
    from tandem_orchestrator.observability.otel import OpenTelemetry
    from tandem_orchestrator.part import Part

log = structlog.get_logger()


@dataclass(slots=True)
class Generation:
    """What serves requests under one configuration; closed when it is replaced and its last request has ended."""

    services: Services
    hot_path: HotPath
    tools: RunningTools

    def start(self) -> None:
        """Begin what goes on beside its requests."""
        self.tools.start(_keep_running)

    async def close(self) -> None:
        """Close what no other generation uses."""
        await self.tools.stop()


class App:
    """The whole orchestrator; `asgi` is it as one ASGI application: the hot path in front of FastAPI.

    `counters` are those that it shares with other workers of the same server, `folder` is for what else they share.
    """

    def __init__(
        self, config: OrchestratorConfig, counters: SharedCounters | None = None, folder: Path | None = None
    ) -> None:
        self._state = State()
        self._upstreams = Upstreams(config)
        self._tool_calling = ToolCalling(self._upstreams, folder)
        self._catalogue = Catalogue(config.models, self._upstreams)
        self._dispatcher = Dispatcher(config, self._catalogue, self._upstreams)
        database = Database(config.database)
        self._stores = Stores(database)
        self._filing = Filing(config, database)
        self._kept = Kept(database, self._stores.leases, self._filing.files)
        self.embedders = Embedders(config, self._catalogue, self._dispatcher)
        self._desk = Desk(database, self._stores.leases, self._filing.files)
        self._keys = Keys(config, database)
        self._limiter = Limiter(config.rate_limits, counters)
        self._moderation = ModerationClient()
        upkeep = Upkeep(self._limiter, config.redis, Ledger(database))
        tracer = _tracer(config)
        background = Background(config, self._stores, self._background_means, self._may_begin)
        self.parts: list[Part] = [
            database,
            self._dispatcher,
            self._upstreams,
            self._tool_calling,
            self._keys,
            self._keys.issuers,
            upkeep,
            self.embedders,
            self._moderation,
            Retention(config, self._stores),
            self._filing.storage,
            self._filing.files,
            Extras(config, database, self._filing.storage),
            Sweeper(config, self._filing, self._stores.leases),
            StoresUpkeep(database, self._stores.leases, self._kept, self.embedders),
            Ingestion(config, database, self._kept, self.embedders, self._may_begin),
            background,
            Runner(config, self._desk, self._batch_means, Loads(self._catalogue, self._dispatcher), self._may_begin),
        ]
        """Closed from the last to the first: what others use comes before them."""
        self._spool = Spool()
        self._answers = answer_cache(config.redis)
        self.parts += (part for part in (self._answers, tracer) if part is not None)
        self._now = self._generation(config, RunningTools(config.tools))
        self._closing: set[asyncio.Task[None]] = set()
        self._rest = self._fastapi()
        self._sockets = Sockets(self._serving, lambda: self.asgi)
        self.asgi = Recorded(guarded(self._now.hot_path, config.server), self._state, tracer)
        self.asgi.log_prompts = config.logging.prompts

    @property
    def services(self) -> Services:
        """The parts that serve the next request."""
        return self._now.services

    def reload(self, config: OrchestratorConfig) -> None:
        """Serve requests under `config` from now on; those in flight go on under the one before.

        Raises `ConfigError`, and changes nothing then.
        """
        before = self._now
        same = config.tools == before.tools.settings
        self._now = self._generation(config, before.tools if same else RunningTools(config.tools))
        for part in self.parts:
            part.update(config)
        self.asgi.app = guarded(self._now.hot_path, config.server)
        self.asgi.log_prompts = config.logging.prompts
        self._now.start()
        self._rest.state.services = self.services
        before.hot_path.retire(lambda: self._close(before))

    def _serving(self) -> Serving:
        now = self.services
        return Serving(
            now.config,
            now.admission,
            now.preparation,
            now.responses,
            now.deadlines,
            self._now.hot_path,
            draining=self._state.draining,
        )

    def _background_means(self) -> Means:
        return Means(self._stores.runs, self._stores.queue, self.services.preparation, self._keys, self._limiter)

    def _batch_means(self) -> BatchMeans:
        now = self.services
        makers = Makers(now.config, now.generator, now.preparation, now.responses)
        return BatchMeans(makers, self._keys, self._limiter)

    def _may_begin(self) -> bool:
        return self._keys.checked and not self._state.draining

    async def _serve_rest(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._sockets.serve(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        services = self.services
        body = receive
        if not is_arriving(scope):
            body = bounded(receive, services.config.limits.max_body_bytes, services.deadlines.body)
        with suppress(Exception):  # it was logged and answered; uvicorn would cut the connection
            await self._rest(scope, body, send)

    def _close(self, generation: Generation) -> None:
        task = asyncio.get_running_loop().create_task(generation.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _generation(self, config: OrchestratorConfig, tools: RunningTools) -> Generation:
        toolbox = tools.toolbox
        search = Search(self._kept, self.embedders, self._reranker(config))
        toolbox.bindings = {FileSearch.name: FileSearch(search, self._limiter.charge)}
        admission = Admission(self._keys, self._limiter)
        generator = Generator(self._keys, self._catalogue, self._dispatcher, toolbox, config)
        generator.answers = self._answers
        generator.rails = self._rails(config)
        preparation = Preparation(generator, toolbox, self._stores, config)
        responses = Responses(generator, preparation, self._stores, config)
        retrieval = Retrieval(self._kept, search, self.embedders, Rewriter(generator), config.retrieval)
        served_tasks = Tasks(generator, search, self._limiter, config)
        services = Services(
            config,
            self._state,
            self._upstreams,
            self._tool_calling,
            self._keys,
            admission,
            self._catalogue,
            self._dispatcher,
            generator,
            toolbox,
            preparation,
            responses,
            self._stores,
            self._filing,
            retrieval,
            served_tasks,
            self._desk,
            deadlines(config.timeouts),
            self.parts,
        )
        others = {
            "/v1/responses": responses.serve,
            "/v1/responses/compact": responses.serve_compact,
            "/v1/responses/input_tokens": responses.serve_input_tokens,
            TOKENIZE: Tokenizer(generator, config).serve,
            MODERATIONS: Moderations(generator, config).serve,
        }
        messages = Messages(generator, toolbox, config)
        others |= {MESSAGES: messages.serve, f"{MESSAGES}/count_tokens": messages.serve_count_tokens}
        hot_path = HotPath(admission, generator, services.deadlines, config, self._serve_rest)
        hot_path.add({**served_tasks.short_paths, **others})
        hot_path.add_posts(served_tasks.paths)
        transcriptions = Transcriptions(generator, config, services.deadlines, self._spool)
        hot_path.add_arriving(dict.fromkeys(FORMS, transcriptions.serve))
        return Generation(services, hot_path, tools)

    def _rails(self, config: OrchestratorConfig) -> Rails | None:
        ask = GuardModels(self._catalogue, self._dispatcher).ask
        return Rails(config.guardrails, ask, self._moderation) if config.guardrails else None

    def _reranker(self, config: OrchestratorConfig) -> Reranker | None:
        model = config.retrieval.reranker
        return None if model is None else Reranker(model, self._catalogue, self._dispatcher)

    def _fastapi(self) -> FastAPI:
        app = Api(title="Tandem orchestrator", version=version("tandem-orchestrator"), lifespan=self._lifespan)
        app.state.services = self.services
        documents = (files, uploads, vector_stores, batches)
        for part in (chat, models, tasks, responses_api, conversations, *documents, keys, health):
            app.include_router(part.router)
        app.exception_handlers.update(errors.HANDLERS)
        return app

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        watching = [asyncio.create_task(_keep_running(part.watch)) for part in self.parts]
        self._now.start()
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, *self._closing, self._now.close(), return_exceptions=True)
            for part in reversed(self.parts):
                await part.close()


async def _keep_running(watch: Callable[[], Awaitable[None]]) -> None:
    """Run a part's background work until cancelled; a defect in it must not end it for good."""
    while True:
        try:
            await watch()
        except Exception:
            log.exception("background work failed, it starts again", part=watch.__qualname__)
        await asyncio.sleep(BACKGROUND_RETRY_SECONDS)


def _tracer(config: OrchestratorConfig) -> "OpenTelemetry | None":
    if config.tracing.endpoint is None:
        return None
    from tandem_orchestrator.observability.otel import OpenTelemetry  # noqa: PLC0415 # 17 MB and a quarter of a second

    return OpenTelemetry(config)
