"""The endpoints that engines answer, straight on ASGI: from a client's request to the last byte of its answer."""

import asyncio

import structlog
from starlette.types import Receive, Scope, Send
from tandem_contract.config import OrchestratorSettings

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.engines.dispatch import Call, Dispatcher
from tandem_orchestrator.engines.endpoints import ENDPOINTS, Endpoint
from tandem_orchestrator.errors import (
    ClientLeft,
    GatewayError,
    InternalError,
    ShuttingDown,
    WrongMethod,
    send_error,
)
from tandem_orchestrator.gateway import rewrite
from tandem_orchestrator.gateway.admission import Admission
from tandem_orchestrator.gateway.event_stream import EventStream, end_with_error
from tandem_orchestrator.gateway.relay import relay_answer, relay_stream
from tandem_orchestrator.gateway.request import LARGE, Deadlines, Request, parse, read_body, weigh
from tandem_orchestrator.gateway.tool_loop import answer_with_tools
from tandem_orchestrator.gateway.tool_session import ToolSession
from tandem_orchestrator.gateway.tool_stream import stream_with_tools
from tandem_orchestrator.gateway.tool_use import tool_use
from tandem_orchestrator.gateway.watch import ClientWatch
from tandem_orchestrator.observability.record import CLIENT_LEFT, Record, record_of
from tandem_orchestrator.tools.toolbox import Toolbox

log = structlog.get_logger()


class HotPath:
    """ASGI application for the paths of `ENDPOINTS`."""

    def __init__(
        self,
        admission: Admission,
        dispatcher: Dispatcher,
        toolbox: Toolbox,
        deadlines: Deadlines,
        settings: OrchestratorSettings,
    ) -> None:
        self._admission = admission
        self._dispatcher = dispatcher
        self._toolbox = toolbox
        self._settings = settings
        self._deadlines = deadlines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        record = record_of(scope)
        try:
            await self._serve(scope, receive, send, record)
        except ClientLeft:
            if not record.told:
                record.status, record.error = CLIENT_LEFT, "client_left"
        except GatewayError as error:
            await _fail(error, record, send)
        except asyncio.CancelledError:
            await _fail(ShuttingDown("the server is shutting down"), record, send)
        except Exception:
            log.exception("request failed", request_id=record.request_id)
            if record.status:
                raise  # the answer has begun: uvicorn cuts the connection, which the client notices
            await send_error(send, InternalError())

    async def _serve(self, scope: Scope, receive: Receive, send: Send, record: Record) -> None:
        endpoint = ENDPOINTS[scope["path"]]
        record.route = endpoint.path
        if scope["method"] != "POST":
            raise WrongMethod(f"{endpoint.path} takes POST, not {scope['method']}", allowed="POST")
        principal, ticket = self._admission.admit(scope["headers"], record)
        try:
            body = await read_body(receive, self._settings.limits.max_body_bytes, self._deadlines.body)
            if large := len(body) > LARGE:
                await weigh(body)
            request = parse(endpoint, body, self._admission.default_model, self._settings.limits.max_depth)
            if large:
                body = b""  # or it would be held as long as the engine takes
                await asyncio.sleep(0)  # others go on before it is written again
            with ClientWatch(scope, self._deadlines.request):
                await self._answer(request, principal, scope, send)
        finally:
            ticket.settle(record.prompt_tokens + record.completion_tokens)

    async def _answer(self, request: Request, principal: Principal, scope: Scope, send: Send) -> None:
        record = record_of(scope)
        endpoint = ENDPOINTS[record.route]
        call = self._call(endpoint, request, principal, record)
        use = tool_use(request, scope["headers"], principal, self._toolbox) if endpoint.chat else None
        session = None if use is None else ToolSession(request, use, self._settings.tools)
        if not request.stream:
            if session is not None:
                await answer_with_tools(self._dispatcher, call, session, send)
            else:
                await relay_answer(self._dispatcher, call, request.body(), send)
            return
        stream = EventStream(scope, send)
        call.heartbeat = stream.heartbeat
        if session is not None:
            seconds = self._settings.hold.heartbeat_seconds
            await stream_with_tools(self._dispatcher, call, session, stream, seconds)
        else:
            hide_usage = rewrite.count_usage(request)
            await relay_stream(self._dispatcher, call, request.body(), stream, hide_usage=hide_usage)

    def _call(self, endpoint: Endpoint, request: Request, principal: Principal, record: Record) -> Call:
        """Finds the model and makes the request fit it."""
        model = self._admission.model(principal, request.model)
        record.model, record.stream = model.name if model.known else None, request.stream
        tenant = None if self._admission.open else principal.tenant
        rewrite.apply(endpoint, request, model, tenant, self._settings.limits.max_choices)
        affinity = rewrite.affinity(endpoint, request, principal.tenant) if len(model.replicas) > 1 else 0
        return Call(endpoint.path, model.name, record, affinity)


async def _fail(error: GatewayError, record: Record, send: Send) -> None:
    if record.told:  # nothing is missing but the end
        await send({"type": "http.response.body", "body": b""})
        return
    record.error = str(error.code or error.type)
    if not record.status:
        await send_error(send, error)
    elif record.stream:
        record.status = error.status
        await end_with_error(send, error)
