"""POST /chat: one question, one answer, without OpenAI's envelope."""

from typing import Literal

import fastapi
from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, Field

from tandem_orchestrator.api.access import BOTH, Admitted
from tandem_orchestrator.api.json_body import Handler, StrictJson
from tandem_orchestrator.api.services import FromApp, Services
from tandem_orchestrator.engines.endpoints import CHAT, ENDPOINTS
from tandem_orchestrator.errors import ClientLeft, EngineError
from tandem_orchestrator.gateway.request import Request
from tandem_orchestrator.gateway.watch import ClientWatch
from tandem_orchestrator.observability.record import CLIENT_LEFT, record_of
from tandem_orchestrator.transport.served import served


class ForClients(StrictJson):
    """Asks for a key before the body is read."""

    def get_route_handler(self) -> Handler:
        """Return what answers the request."""
        handle = super().get_route_handler()

        async def guarded(request: fastapi.Request) -> Response:
            services: Services = request.app.state.services
            services.admission.identify(request.headers.raw, record_of(request.scope))
            return await handle(request)

        return guarded


router = APIRouter(tags=["chat"], route_class=ForClients)


class Message(BaseModel):
    """One message of the conversation so far."""

    role: Literal["system", "user", "assistant"]
    content: str


class ChatQuestion(BaseModel):
    """A conversation to go on with."""

    messages: list[Message] = Field(min_length=1, fail_fast=True)
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)


class ChatAnswer(BaseModel):
    """The model's next message."""

    content: str
    finish_reason: str | None


@router.post(
    "/chat",
    dependencies=BOTH,
    responses={
        400: {"description": "The body is not JSON."},
        401: {"description": "The key is missing or wrong."},
        429: {"description": "A limit is used up."},
        502: {"description": "The engine failed."},
        503: {"description": "No engine is there."},
    },
)
async def chat(question: ChatQuestion, request: fastapi.Request, services: FromApp, principal: Admitted) -> ChatAnswer:
    """Answer with the default model, and with tools where they are attached to every request."""
    record = record_of(request.scope)
    if services.generator.default_model is None:
        raise HTTPException(502, "the engine has not told its models yet")
    asked = Request(ENDPOINTS[CHAT], question.model_dump(exclude_none=True), None, stream=False)
    try:
        with ClientWatch(served(request.scope, request.receive), services.deadlines.request):
            _, answer = await services.generator.whole(asked, principal, record, request.scope["headers"])
    except ClientLeft:
        record.status, record.error = CLIENT_LEFT, "client_left"
        raise HTTPException(CLIENT_LEFT) from None
    except EngineError as error:
        record.error = str(error.code or error.type)
        raise HTTPException(502, error.message) from None
    choice = answer["choices"][0]
    message = choice.get("message") or {}
    return ChatAnswer(content=message.get("content") or "", finish_reason=choice.get("finish_reason"))
