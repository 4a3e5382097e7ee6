"""Answers requests for responses: what came before is read, the response made, and kept before its end is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson
from tandem_contract.config import OrchestratorSettings

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.engines.endpoints import CHAT, ENDPOINTS
from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.gateway.event_stream import EventStream
from tandem_orchestrator.gateway.generate import Generator
from tandem_orchestrator.gateway.hot_path import Arrived, send_json
from tandem_orchestrator.gateway.request import Headers, Request, json_object
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.responses import ids
from tandem_orchestrator.responses.approvals import approved
from tandem_orchestrator.responses.context import Context
from tandem_orchestrator.responses.create import Create, conversation_of
from tandem_orchestrator.responses.events import DONE, Events
from tandem_orchestrator.responses.items import Item
from tandem_orchestrator.responses.making import Before, Making
from tandem_orchestrator.responses.output import OPENAI_REASONING, STANDARD_REASONING, Output
from tandem_orchestrator.responses.payload import chat_payload
from tandem_orchestrator.responses.prompt import messages
from tandem_orchestrator.responses.queued import Queued, switched_on
from tandem_orchestrator.responses.quota import Quotas
from tandem_orchestrator.responses.reader import Reader
from tandem_orchestrator.responses.references import check_results, resolved
from tandem_orchestrator.responses.resource import Resource
from tandem_orchestrator.responses.run import Run
from tandem_orchestrator.responses.runs import Events as Told
from tandem_orchestrator.responses.runs import Runs
from tandem_orchestrator.responses.seal import Seal, Sealer
from tandem_orchestrator.responses.seals import Seals
from tandem_orchestrator.responses.session import ResponseSession
from tandem_orchestrator.responses.speech import OwnSpeech, Speech
from tandem_orchestrator.responses.store import CONTINUABLE, ResponseStore
from tandem_orchestrator.responses.streamed import Stream, StreamedResponse
from tandem_orchestrator.responses.tools import response_tools
from tandem_orchestrator.tools.toolbox import Toolbox

SEALED_REASONING: Final = "reasoning.encrypted_content"
NO_SEAL: Final = Seal([])
NO_INPUT: Final = "`input` must be a text or a list of items, and not empty"


class Memory(Protocol):
    """What a connection remembers of responses that are kept nowhere else."""

    def items(self, response_id: str) -> list[Item] | None:
        """Return all items of a response and of what came before it; None for one that is not remembered."""

    def keep(self, response_id: str, items: list[Item]) -> None:
        """Remember a response that has ended."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and by what request."""

    principal: Principal
    record: Record
    headers: Headers
    memory: Memory | None = None


def asker_of(arrived: Arrived) -> Asker:
    """Return who sent a request over HTTP."""
    return Asker(arrived.principal, arrived.record, arrived.headers)


@dataclass(frozen=True, slots=True)
class Stores:
    """Where responses are kept, whatever the configuration."""

    store: ResponseStore
    runs: Runs
    reader: Reader
    seals: Seals
    quotas: Quotas


class Responses:
    """Makes responses under one configuration."""

    def __init__(self, generator: Generator, toolbox: Toolbox, stores: Stores, settings: OrchestratorSettings) -> None:
        self._generator = generator
        self._toolbox = toolbox
        self._stores = stores
        self._settings = settings

    def create(self, payload: dict[str, Any]) -> Create:
        """Check a request. Raises `BadRequest`."""
        return Create(payload, store=self._settings.responses.store)

    async def serve(self, arrived: Arrived) -> None:
        """Answer `POST /v1/responses`. Raises `GatewayError`, but not once a stream has begun."""
        create = self.create(self._payload(arrived))
        asker = asker_of(arrived)
        if create.background:
            making = await self.queue(create, asker)
            if not create.stream:
                await send_json(arrived.send, making.whole())
                return
            stream = EventStream(arrived.exchange, arrived.record, arrived.send)
            async for data in self._stores.reader.events(asker.principal.tenant, making.resource.id):
                await stream.write(data)
            await stream.end(DONE)
        elif create.stream:
            await self.stream(create, asker, EventStream(arrived.exchange, arrived.record, arrived.send))
        else:
            await send_json(arrived.send, await self.whole(create, asker))

    async def serve_input_tokens(self, arrived: Arrived) -> None:
        """Answer `POST /v1/responses/input_tokens`. Raises `GatewayError`."""
        making = await self.prepare(self._without_storing(self._payload(arrived)), asker_of(arrived))
        number = await Context(self._generator, making.run.call).count(making.run.session.payload)
        await send_json(arrived.send, orjson.dumps({"object": "response.input_tokens", "input_tokens": number}))

    async def serve_compact(self, arrived: Arrived) -> None:
        """Answer `POST /v1/responses/compact`. Raises `GatewayError`."""
        compaction = await self.compact(self._payload(arrived), asker_of(arrived))
        await send_json(arrived.send, orjson.dumps(compaction))

    async def whole(self, create: Create, asker: Asker) -> bytes:
        """Return a response in one piece, as JSON. Raises `GatewayError`."""
        making = await self.prepare(create, asker)
        making.end(await making.run.make())
        if create.store:
            await self._stores.store.add(making.stored(), making.items)
        return making.whole()

    async def stream(self, create: Create, asker: Asker, stream: Stream) -> None:
        """Send a response's events into `stream` as they come. Raises `GatewayError` before the first one."""
        events = Events()
        making = await self.prepare(create, asker, events)
        streamed = StreamedResponse(making, events, stream, self._stores.runs if create.store else None)
        await streamed.make(asker.record)
        if making.resource.status in CONTINUABLE:
            _remember(making, asker)

    async def prepared(self, create: Create, asker: Asker, stream: Stream) -> None:
        """Send the events of a response that says nothing, which others are to continue. Raises `GatewayError`."""
        events = Events()
        making = await self.prepare(create, asker, events)
        making.tell_beginning("response.created", "response.in_progress")
        making.end(None)
        if create.store:
            await self._stores.store.add(making.stored(), making.items)
        making.tell_end()
        _remember(making, asker)
        await stream.end(events.take())

    async def queue(self, create: Create, asker: Asker) -> Making:
        """Queue a response that is made without its client. Raises `GatewayError`."""
        events = Events() if create.stream else None
        making = await self.prepare(create, asker, events)
        making.resource.status = "queued"
        making.tell_beginning("response.created", "response.queued")
        queued = Queued(create.payload | {"store": True}, asker.principal.key_id, tools=switched_on(asker.headers))
        await self._stores.runs.enqueue(
            making.stored(),
            making.run.call.model.name,
            queued.written(),
            self._settings.responses.background.max_queued,
            Told(0, events.number - 1, events.take()) if events is not None else None,
        )
        return making

    async def compact(self, payload: dict[str, Any], asker: Asker) -> dict[str, Any]:
        """Return an `input` that takes the place of another, or of a response and all before it; keeps nothing.

        Raises `GatewayError`.
        """
        if not isinstance(payload.get("model"), str):
            raise BadRequest("`model` must be the name of a model", param="model")
        create = self._without_storing(payload)
        create.compact = True
        making = await self.prepare(create, asker)
        making.end(await making.run.make())
        return {
            "id": ids.item("compaction", making.resource.id, 0),
            "object": "response.compaction",
            "created_at": making.resource.created_at,
            "output": making.output.items,
            "usage": making.resource.usage,
        }

    async def prepare(
        self,
        create: Create,
        asker: Asker,
        events: Events | None = None,
        *,
        resource: Resource | None = None,
        done: Sequence[Item] = (),
    ) -> Making:
        """Get all together that a response is made of. Raises `GatewayError`.

        One that somebody else has begun has a `resource`, and perhaps items that are `done`.
        """
        principal, record = asker.principal, asker.record
        model = self._generator.find(create.model, principal)
        tools = response_tools(create, asker.headers, principal, self._toolbox)
        if create.store:
            await self._stores.store.check()
            await self._stores.quotas.check(principal.tenant, self._settings.responses.quota)
        earlier = await self._earlier(create, asker)
        given = await resolved(create.input, earlier, self._stores.store, principal.tenant)
        check_results(given, earlier)
        if not given and not earlier:
            raise BadRequest(NO_INPUT, param="input")
        sealer = await self._sealer([*earlier, *given], create, principal.tenant)
        chat = messages([*earlier, *given, *done], create.instructions, model.reasoning_field, sealer.open)
        payload = chat_payload(create, chat, list(tools.declarations.values()), tools.choice)
        request = Request(ENDPOINTS[CHAT], payload, create.model, stream=events is not None)
        call = self._generator.call(request, model, principal, record)
        resource = resource or Resource(create, ids.response(), model.name)
        session = ResponseSession(request, tools.use, tools, create, self._settings.tools)
        name = OPENAI_REASONING if self._settings.responses.reasoning_events == "openai" else STANDARD_REASONING
        output = Output(resource.id, events, name, done)
        if SEALED_REASONING in create.include:
            output.seal = sealer.close
        allowed = [] if done else approved(given, earlier, tools)
        speech = OwnSpeech() if model.own_responses else Speech()
        call.path = speech.path
        run = Run(self._generator, call, session, output, create, sealer, speech, allowed)
        listed = {item["server_label"] for item in (*earlier, *done) if item["type"] == "mcp_list_tools"}
        run.lists = [item for item in tools.lists if item["server_label"] not in listed]
        run.heartbeat_seconds = self._settings.hold.heartbeat_seconds
        return Making(principal.tenant, run, resource, Before(earlier, given))

    def _payload(self, arrived: Arrived) -> dict[str, Any]:
        payload = json_object(arrived.body, self._settings.limits.max_depth)
        arrived.body = b""  # or it would be held as long as the engine takes
        return payload

    def _without_storing(self, payload: dict[str, Any]) -> Create:
        """Return a request of which nothing is kept, be it in a conversation."""
        conversation = payload.get("conversation")
        create = self.create({**payload, "conversation": None, "store": False, "background": None})
        create.conversation = conversation_of(conversation)
        return create

    async def _earlier(self, create: Create, asker: Asker) -> list[Item]:
        tenant = asker.principal.tenant
        if create.previous_id is not None:
            remembered = None
            if asker.memory is not None and not create.store:  # what is stored can only continue what is stored
                remembered = asker.memory.items(create.previous_id)
            return remembered if remembered is not None else await self._stores.store.chain(tenant, create.previous_id)
        if create.conversation is not None:
            return await self._stores.store.conversation_items(tenant, create.conversation)
        return []

    async def _sealer(self, items: Sequence[Item], create: Create, tenant: str) -> Sealer:
        """Return what seals and opens; the keys are only read where something is sealed."""
        wanted = create.compact or create.compact_threshold is not None or SEALED_REASONING in create.include
        if not (wanted or any(item.get("encrypted_content") for item in items)):
            return Sealer(NO_SEAL, tenant)
        return Sealer(await self._stores.seals.seal(self._settings.responses.encryption_keys), tenant)


def _remember(making: Making, asker: Asker) -> None:
    """Keep a response that is not stored where its connection continues it."""
    if asker.memory is not None and not making.create.store:
        asker.memory.keep(making.resource.id, [*making.earlier, *making.items])
