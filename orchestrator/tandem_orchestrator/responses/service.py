"""Answers requests for responses: what came before is found, the response made, and kept before its end is sent."""

import asyncio
from typing import Any

import orjson
from starlette.types import Send
from tandem_contract.config import OrchestratorSettings

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.engines.endpoints import CHAT, ENDPOINTS
from tandem_orchestrator.errors import BadRequest, GatewayError
from tandem_orchestrator.gateway.event_stream import EventStream
from tandem_orchestrator.gateway.generate import Generator
from tandem_orchestrator.gateway.request import Headers, Request, json_object
from tandem_orchestrator.gateway.hot_path import send_json
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.responses import ids
from tandem_orchestrator.responses.create import Create
from tandem_orchestrator.responses.events import DONE, Events
from tandem_orchestrator.responses.items import Item, kept
from tandem_orchestrator.responses.output import OPENAI_REASONING, STANDARD_REASONING, Output
from tandem_orchestrator.responses.prompt import messages
from tandem_orchestrator.responses.resource import Resource, failure, usage_of, whole
from tandem_orchestrator.responses.run import Run
from tandem_orchestrator.responses.session import ResponseSession
from tandem_orchestrator.responses.store import ResponseStore, Stored
from tandem_orchestrator.responses.tools import response_tools
from tandem_orchestrator.tools.toolbox import Toolbox
from tandem_orchestrator.transport.served import Served

SAMPLING = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
LOGPROBS = "message.output_text.logprobs"


class Responses:
    """Makes responses under one configuration."""

    def __init__(
        self, generator: Generator, toolbox: Toolbox, store: ResponseStore, settings: OrchestratorSettings
    ) -> None:
        self._generator = generator
        self._toolbox = toolbox
        self._store = store
        self._settings = settings

    async def serve(
        self, body: bytes, principal: Principal, record: Record, headers: Headers, exchange: Served, send: Send
    ) -> None:
        """Answer `POST /v1/responses`. Raises `GatewayError`, but not once a stream has begun."""
        settings = self._settings
        create = Create(json_object(body, settings.limits.max_depth), store=settings.responses.store)
        if create.stream:
            await self.stream(create, principal, record, headers, EventStream(exchange, record, send))
        else:
            await send_json(send, await self.whole(create, principal, record, headers))

    async def whole(self, create: Create, principal: Principal, record: Record, headers: Headers) -> bytes:
        """Return a response in one piece, as JSON. Raises `GatewayError`."""
        making = await self._begin(create, principal, record, headers, None)
        making.end(await making.run.make())
        resource, output = making.resource.written(), orjson.dumps(making.output.items)
        if create.store:
            await self._keep(making, principal, resource, output)
        return whole(resource, output)

    async def stream(
        self, create: Create, principal: Principal, record: Record, headers: Headers, stream: EventStream
    ) -> None:
        """Send a response's events into `stream` as they come. Raises `GatewayError` before the first one."""
        events = Events()
        making = await self._begin(create, principal, record, headers, events)
        writing = asyncio.Lock()

        async def flush() -> None:
            async with writing:
                if data := events.take():
                    await stream.write(data)

        making.run.flush = flush
        making.run.begun = making.tell_beginning
        making.run.call.heartbeat = stream.heartbeat
        try:
            making.end(await making.run.make())
        except GatewayError as error:
            if not events.number:
                raise
            making.fail(error)
            record.tell(error)
        resource, output = making.resource.written(), orjson.dumps(making.output.items)
        if create.store:
            try:
                await self._keep(making, principal, resource, output)
            except GatewayError as error:
                making.fail(error)
                record.tell(error)
                resource = making.resource.written()
        making.tell_end(resource, output)
        await stream.end(events.take() + DONE)

    async def _begin(
        self, create: Create, principal: Principal, record: Record, headers: Headers, events: Events | None
    ) -> "Making":
        model = self._generator.find(create.model, principal)
        tools = response_tools(create, headers, principal, self._toolbox)
        earlier = await self._earlier(create, principal)
        given = _resolved(create.input, earlier)
        if not given and not earlier:
            raise BadRequest("`input` must be a text or a list of items, and not empty", param="input")
        chat = messages([*earlier, *given], create.instructions, model.reasoning_field, _unseal)
        payload = chat_payload(create, chat, list(tools.declarations.values()), tools.choice)
        request = Request(ENDPOINTS[CHAT], payload, create.model, stream=events is not None)
        call = self._generator.call(request, model, principal, record)
        assert tools.use is not None
        session = ResponseSession(request, tools.use, tools, create, self._settings.tools)
        response_id = ids.response()
        name = OPENAI_REASONING if self._settings.responses.reasoning_events == "openai" else STANDARD_REASONING
        output = Output(response_id, events, name)
        run = Run(self._generator, call, session, output)
        return Making(create, run, output, Resource(create, response_id, model.name), given)

    async def _earlier(self, create: Create, principal: Principal) -> list[Item]:
        if create.previous_id is not None:
            return await self._store.chain(principal.tenant, create.previous_id)
        if create.conversation is not None:
            return await self._store.conversation_items(principal.tenant, create.conversation)
        return []

    async def _keep(self, making: "Making", principal: Principal, resource: bytes, output: bytes) -> None:
        create, response_id = making.create, making.resource.id
        given = [
            kept(item, ids.item(item["type"], response_id, n, of_input=True))
            for n, item in enumerate(making.given)
        ]
        stored = Stored(
            principal.tenant,
            response_id,
            create.previous_id,
            create.conversation,
            making.resource.status,
            resource.decode(),
            orjson.dumps(given).decode(),
            output.decode(),
        )
        await self._store.add(stored, [*given, *making.output.items])


class Making:
    """A response in the making, with what is told of it."""

    def __init__(self, create: Create, run: Run, output: Output, resource: Resource, given: list[Item]) -> None:
        self.create = create
        self.run = run
        self.output = output
        self.resource = resource
        self.given = given

    def tell_beginning(self) -> None:
        """Tell a stream that the response has begun."""
        events = self.output.events
        if events is not None:
            document = {"response": orjson.Fragment(whole(self.resource.written(), b"[]"))}
            events.add("response.created", document)
            events.add("response.in_progress", document)

    def end(self, cut: str | None) -> None:
        """Note that it ended; `cut` is why it is incomplete."""
        self.resource.usage = usage_of(self.run.session.usage)
        if cut is None:
            self.resource.end("completed")
        else:
            self.resource.end("incomplete", incomplete_details={"reason": cut})

    def fail(self, error: GatewayError) -> None:
        """Note that it failed."""
        self.output.end_all("incomplete")
        self.resource.usage = usage_of(self.run.session.usage)
        self.resource.end("failed", error=failure(error))
        if self.output.events is not None:
            told: dict[str, Any] = {
                "code": str(error.code or error.type),
                "message": error.message,
                "param": error.param,
            }
            if self.output.standard:
                told["error"] = {"type": error.type, **told}
            self.output.events.add("error", told)

    def tell_end(self, resource: bytes, output: bytes) -> None:
        """Tell a stream how the response ended."""
        if self.output.events is not None:
            document = {"response": orjson.Fragment(whole(resource, output))}
            self.output.events.add(f"response.{self.resource.status}", document)


def chat_payload(create: Create, chat: list[Any], declarations: list[Any], choice: Any) -> dict[str, Any]:
    """Return the request for an engine's chat that makes the response."""
    payload: dict[str, Any] = {"messages": chat, **create.extra}
    given = create.payload
    for name in SAMPLING:
        if given.get(name) is not None:
            payload[name] = given[name]
    if create.max_output_tokens is not None:
        payload["max_tokens"] = create.max_output_tokens
    if LOGPROBS in create.include:
        payload["logprobs"] = True
        if given.get("top_logprobs"):
            payload["top_logprobs"] = given["top_logprobs"]
    if declarations:
        payload["tools"] = declarations
        if choice != "auto":
            payload["tool_choice"] = choice
        if not create.parallel_tool_calls:
            payload["parallel_tool_calls"] = False
    if (effort := (create.reasoning or {}).get("effort")) is not None:
        payload["reasoning_effort"] = effort
    if (form := _response_format(create.text["format"])) is not None:
        payload["response_format"] = form
    if given.get("user") is not None:
        payload["user"] = given["user"]
    return payload


def _response_format(form: dict[str, Any]) -> dict[str, Any] | None:
    if form["type"] == "text":
        return None
    if form["type"] == "json_object":
        return {"type": "json_object"}
    schema = {name: form[name] for name in ("name", "description", "schema", "strict") if form.get(name) is not None}
    return {"type": "json_schema", "json_schema": schema}


def _resolved(given: list[Item], earlier: list[Item]) -> list[Item]:
    """Return the items with references in the place of which stand what they name. Raises `BadRequest`."""
    return given


def _unseal(_: str) -> Any:
    raise BadRequest("this content was not sealed here")
