"""POST /v1/chat/completions: the hot path, straight on ASGI."""

import asyncio

import structlog
from starlette.types import Receive, Scope, Send
from tandem_contract.config import OrchestratorSettings

from tandem_orchestrator.errors import ClientLeft, GatewayError, ShuttingDown, send_error
from tandem_orchestrator.gateway.catalogue import Catalogue
from tandem_orchestrator.gateway.conversation import Conversation
from tandem_orchestrator.gateway.dispatch import Call, Dispatcher
from tandem_orchestrator.gateway.endpoints import CHAT
from tandem_orchestrator.gateway.relay import end_with_error, relay_answer, relay_stream
from tandem_orchestrator.gateway.request import ChatRequest, parse, read_body
from tandem_orchestrator.gateway.streamed_tool_loop import stream_with_tools
from tandem_orchestrator.gateway.tool_loop import answer_with_tools
from tandem_orchestrator.gateway.watch import ClientWatch
from tandem_orchestrator.observability.record import CLIENT_LEFT, Record, record_of
from tandem_orchestrator.tools.toolbox import Toolbox

log = structlog.get_logger()


class ChatCompletions:
    """ASGI endpoint for chat completions, relayed or with tools run here."""

    def __init__(
        self, catalogue: Catalogue, dispatcher: Dispatcher, toolbox: Toolbox, settings: OrchestratorSettings
    ) -> None:
        self._catalogue = catalogue
        self._dispatcher = dispatcher
        self._toolbox = toolbox
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        record = record_of(scope)
        try:
            body = await read_body(receive, self._settings.limits.max_body_bytes)
            request = parse(body, self._catalogue.default)
            async with ClientWatch(receive):
                await self._answer(request, record, send)
        except ClientLeft:
            record.status, record.error = CLIENT_LEFT, "client_left"
        except GatewayError as error:
            record.error = error.code or error.type
            await send_error(send, error)
        except asyncio.CancelledError:
            await self._break_off(ShuttingDown("the server is shutting down"), record, send)
        except Exception:
            log.exception("request failed", request_id=record.request_id)
            if record.status:
                raise  # the answer has begun: uvicorn cuts the connection, which the client notices
            await send_error(send, GatewayError("an internal error; the log has it under this request's id"))

    async def _break_off(self, error: GatewayError, record: Record, send: Send) -> None:
        if not record.status:
            await send_error(send, error)
        elif record.stream:
            await end_with_error(send, record, error)

    async def _answer(self, request: ChatRequest, record: Record, send: Send) -> None:
        model = self._catalogue.find(request.model)
        call = Call(CHAT, model.name, record)
        record.stream = request.stream
        record.model = model.name
        if not self._toolbox.names.isdisjoint(request.declared_tools):
            conversation = Conversation(request, self._toolbox.names, self._settings.tools)
            answer = stream_with_tools if request.stream else answer_with_tools
            await answer(self._dispatcher, call, conversation, self._toolbox, send)
        elif request.stream:
            await relay_stream(self._dispatcher, call, request.body, send)
        else:
            await relay_answer(self._dispatcher, call, request.body, send)
