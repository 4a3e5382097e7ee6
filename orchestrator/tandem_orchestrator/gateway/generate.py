"""The one way to ask a model: it is found, the request made to fit it, the server's tools run, whole or streamed."""

from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from tandem_contract.config import OrchestratorSettings, ServiceClass

from tandem_orchestrator.auth.keys import Keys
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.engines.catalogue import Catalogue, Model
from tandem_orchestrator.engines.dispatch import Call, Dispatcher
from tandem_orchestrator.engines.endpoints import MODERATIONS
from tandem_orchestrator.errors import BadRequest, Forbidden, UnknownModel
from tandem_orchestrator.gateway import rewrite
from tandem_orchestrator.gateway.answer_cache import AnswerCache, Place
from tandem_orchestrator.gateway.context import count_tokens
from tandem_orchestrator.gateway.event_stream import EventStream
from tandem_orchestrator.gateway.guard import Guard
from tandem_orchestrator.gateway.guarded_stream import GuardedStream
from tandem_orchestrator.gateway.relay import CopiedEvents, Events, relay_stream
from tandem_orchestrator.gateway.request import Headers, Request
from tandem_orchestrator.gateway.screen import Screen
from tandem_orchestrator.gateway.tool_loop import complete_with_tools
from tandem_orchestrator.gateway.tool_session import ToolSession
from tandem_orchestrator.gateway.tool_stream import stream_with_tools
from tandem_orchestrator.gateway.tool_use import named_tools, tool_use
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.tools.toolbox import Toolbox

if TYPE_CHECKING:
    from tandem_orchestrator.guardrails.rails import Rails


class Generator:
    """Asks models under one configuration, for whoever has admitted the request and counts its tokens.

    `headers` are those of the client's HTTP request, where there is one: they may switch tools off.
    """

    def __init__(
        self,
        keys: Keys,
        catalogue: Catalogue,
        dispatcher: Dispatcher,
        toolbox: Toolbox,
        settings: OrchestratorSettings,
    ) -> None:
        self._keys = keys
        self._catalogue = catalogue
        self._toolbox = toolbox
        self._settings = settings
        self._batch = {tenant.name for tenant in settings.tenants if tenant.service_class is ServiceClass.BATCH}
        self._prompts = {
            tenant.name: tenant.system_prompt for tenant in settings.tenants if tenant.system_prompt
        } or None
        self.answers: AnswerCache | None = None
        """Answers that may be given again; None where nobody has asked for that."""
        self.rails: Rails | None = None
        """Guardrails on what is asked and answered; None where there are none."""
        self.engines = dispatcher
        """Asks an engine once; for those with passes of their own."""

    @property
    def default_model(self) -> str | None:
        """The model of a request that names none."""
        return self._catalogue.default

    def whole(
        self, request: Request, principal: Principal, record: Record, headers: Headers
    ) -> Awaitable[tuple[bytes, dict[str, Any]]]:
        """Get an answer in one piece: its JSON, and the same read. Raises `GatewayError`."""
        model = self.find(request.model, principal)
        if self.rails is not None and self._guards(request, model, principal, record):
            return self._whole_guarded(request, principal, record, headers)
        call = self.call(request, model, principal, record)
        session = self._tools(request, principal, headers)
        if session is not None:
            return self._with_tools(call, session, request.guard)
        body = request.body()
        if self.answers is not None and (place := self.answers.place(request, principal, headers, body)) is not None:
            return self._whole_kept(place, call, body)
        return self.engines.complete(call, body)

    def stream(
        self, request: Request, principal: Principal, record: Record, headers: Headers, stream: EventStream
    ) -> Awaitable[None]:
        """Send an answer into `stream` as it comes. Raises `GatewayError`, also after the stream's start."""
        model = self.find(request.model, principal)
        if self.rails is not None and self._guards(request, model, principal, record):
            return self._stream_guarded(request, principal, record, headers, stream)
        call = self.call(request, model, principal, record)
        call.heartbeat = stream.heartbeat
        session, guard = self._tools(request, principal, headers), request.guard
        if guard is not None:
            self.screen(call, guard, session)
        if session is not None:
            seconds = self._settings.hold.heartbeat_seconds
            return stream_with_tools(self.engines, call, session, stream, seconds, guard)
        hide_usage = rewrite.count_usage(request)
        body = request.body()
        kept = self.answers if guard is None else None  # what is kept of a stream would have to be judged again
        if kept is not None and (place := kept.place(request, principal, headers, body)) is not None:
            return self._stream_kept(place, call, body, stream, CopiedEvents(kept.most, hide_usage=hide_usage))
        return relay_stream(self.engines, call, body, stream, Events(hide_usage=hide_usage))

    async def count_tokens(self, request: Request, principal: Principal, record: Record, headers: Headers) -> int:
        """Return how many tokens the engine reads of a chat, with tools and all. Raises `GatewayError`."""
        call = self.call(request, self.find(request.model, principal), principal, record)
        session = self._tools(request, principal, headers)
        payload = request.payload
        if session is not None:
            await session.use.ready()
            payload = orjson.loads(session.next_body(stream=False))
        return await count_tokens(self.engines, call, payload)

    async def _whole_kept(self, place: Place, call: Call, body: bytes) -> tuple[bytes, dict[str, Any]]:
        kept = await place.get(call.record)
        if kept is not None:
            return kept, orjson.loads(kept)
        answer, document = await self.engines.complete(call, body)
        place.put_whole(call.record, answer, document)
        return answer, document

    async def _stream_kept(
        self, place: Place, call: Call, body: bytes, stream: EventStream, events: CopiedEvents
    ) -> None:
        kept = await place.get(call.record, b"usage hidden" if events.hide_usage else b"usage shown")
        if kept is not None:
            await stream.write(kept)
            call.record.tell(None)
            await stream.end()
            return
        await relay_stream(self.engines, call, body, stream, events)
        if (copy := events.copy()) is not None:
            place.put_stream(call.record, copy)

    async def _with_tools(self, call: Call, session: ToolSession, guard: Guard | None) -> tuple[bytes, dict[str, Any]]:
        answer = await complete_with_tools(self.engines, call, session, guard)
        return orjson.dumps(answer), answer

    def guard(self, model: Model, principal: Principal, record: Record) -> Guard | None:
        """Return the guardrails of a call to a model, and to those that may answer in its place; None for none."""
        if self.rails is None:
            return None
        record.model = model.name if model.known else None
        names = {model.name, *model.settings.aliases}
        while (fallback := model.settings.fallback) is not None and fallback not in names:
            try:
                model = self._catalogue.find(fallback)
            except UnknownModel:
                break
            names |= {fallback, model.name, *model.settings.aliases}
        applying = self.rails.applying(principal.tenant, names)
        return Guard(applying, record) if applying else None

    def screen(self, call: Call, guard: Guard, session: ToolSession | None) -> None:
        """Have streamed answers judged before they are read; with tools, their reader tells what was decided."""
        is_clients = None if session is None else session.is_clients
        screen = Screen(guard, call, self._settings.hold.heartbeat_seconds, is_clients, tells=session is None)
        if screen.needed:
            call.screen = partial(GuardedStream, screen)

    def _guards(self, request: Request, model: Model, principal: Principal, record: Record) -> bool:
        """Return whether a request has to be judged before it is asked."""
        if request.guard is not None or request.endpoint.path == MODERATIONS:
            return False
        request.guard = self.guard(model, principal, record)
        return request.guard is not None

    async def _whole_guarded(
        self, request: Request, principal: Principal, record: Record, headers: Headers
    ) -> tuple[bytes, dict[str, Any]]:
        guard = request.guard
        assert guard is not None  # noqa: S101 # as the caller has seen
        await guard.input(request)
        raw, answer = await self.whole(request, principal, record, headers)
        return (orjson.dumps(answer), answer) if await guard.output(answer) else (raw, answer)

    async def _stream_guarded(
        self, request: Request, principal: Principal, record: Record, headers: Headers, stream: EventStream
    ) -> None:
        assert request.guard is not None  # noqa: S101 # as the caller has seen
        await request.guard.input(request)
        await self.stream(request, principal, record, headers, stream)

    async def first_pass(
        self, request: Request, principal: Principal, record: Record, headers: Headers
    ) -> tuple[Call, bytes]:
        """Return what `whole` would ask an engine first, and nothing is asked. Raises `GatewayError`."""
        call = self.call(request, self.find(request.model, principal), principal, record)
        session = self._tools(request, principal, headers)
        if session is None:
            return call, request.body()
        await session.use.ready()
        return call, session.next_body(stream=False)

    def find(self, name: str | None, principal: Principal) -> Model:
        """Find a model. Raises `BadRequest`, `UnknownModel`, `Forbidden`."""
        name = name or self._catalogue.default
        if name is None:
            raise BadRequest("`model` must be the name of a model", param="model")
        model = self._catalogue.find(name, principal)
        if principal.models is not None and principal.models.isdisjoint((name, model.name)):
            raise Forbidden(f"this key may not use the model {name!r}", param="model")
        return model

    def call(self, request: Request, model: Model, principal: Principal, record: Record) -> Call:
        """Make the request fit the model; return what its passes have in common. Raises `BadRequest`."""
        record.model, record.stream = model.name if model.known else None, request.stream
        tenant = None if self._keys.open else principal.tenant
        batch = record.yields or principal.tenant in self._batch
        rewrite.apply(request, model, tenant, self._settings.limits.max_choices, batch=batch)
        if self._prompts is not None and request.endpoint.chat and not request.ours:
            prompt = self._prompts.get(principal.tenant)
            if prompt is not None:
                rewrite.instruct_first(request, prompt, principal.tenant)
        affinity = rewrite.affinity(request, principal.tenant) if len(model.replicas) > 1 or model.candidate else 0
        call = Call(request.endpoint.path, model, record, affinity)
        fixed = model.settings.fallback is None and model.candidate is None and model.known and model.replicas
        if not fixed:  # its engine may change
            call.salt = rewrite.salt(tenant) if tenant is not None and request.endpoint.salted else None
            call.priority = rewrite.BATCH_PRIORITY if batch else None
        return call

    def _tools(self, request: Request, principal: Principal, headers: Headers) -> ToolSession | None:
        if not request.endpoint.chat:
            return None
        find = tool_use if request.payload.get("tools") and self._toolbox.bindings else named_tools
        use = find(request, headers, principal, self._toolbox)
        return None if use is None else ToolSession(request, use, self._settings.tools)
