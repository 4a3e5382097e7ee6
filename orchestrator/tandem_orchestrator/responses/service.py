"""Answers requests for responses: what came before is read, the response made, and kept before its end is sent."""

from typing import Any

import orjson
from tandem_contract.config import OrchestratorSettings

from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.gateway.event_stream import EventStream
from tandem_orchestrator.gateway.generate import Generator
from tandem_orchestrator.gateway.hot_path import Arrived, send_json
from tandem_orchestrator.gateway.request import json_object
from tandem_orchestrator.responses import ids
from tandem_orchestrator.responses.asker import Asker, asker_of
from tandem_orchestrator.responses.context import Context
from tandem_orchestrator.responses.create import Create, conversation_of
from tandem_orchestrator.responses.events import DONE, Events
from tandem_orchestrator.responses.making import Making
from tandem_orchestrator.responses.preparation import Preparation
from tandem_orchestrator.responses.queued import Queued, switched_on
from tandem_orchestrator.responses.runs import Events as Told
from tandem_orchestrator.responses.store import CONTINUABLE
from tandem_orchestrator.responses.stores import Stores
from tandem_orchestrator.responses.streamed import Stream, StreamedResponse


class Responses:
    """Makes responses under one configuration."""

    def __init__(
        self, generator: Generator, preparation: Preparation, stores: Stores, settings: OrchestratorSettings
    ) -> None:
        self._generator = generator
        self._preparation = preparation
        self._stores = stores
        self._settings = settings

    async def serve(self, arrived: Arrived) -> None:
        """Answer `POST /v1/responses`. Raises `GatewayError`, but not once a stream has begun."""
        create = self._preparation.create(self._payload(arrived))
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
        making = await self._preparation.prepare(self._without_storing(self._payload(arrived)), asker_of(arrived))
        number = await Context(self._generator, making.run.call).count(making.run.session.payload)
        await send_json(arrived.send, orjson.dumps({"object": "response.input_tokens", "input_tokens": number}))

    async def serve_compact(self, arrived: Arrived) -> None:
        """Answer `POST /v1/responses/compact`. Raises `GatewayError`."""
        compaction = await self.compact(self._payload(arrived), asker_of(arrived))
        await send_json(arrived.send, orjson.dumps(compaction))

    async def whole(self, create: Create, asker: Asker) -> bytes:
        """Return a response in one piece, as JSON. Raises `GatewayError`."""
        making = await self._preparation.prepare(create, asker)
        making.end(await making.run.make())
        if create.store:
            await self._stores.responses.add(making.stored(), making.items)
        return making.whole()

    async def stream(self, create: Create, asker: Asker, stream: Stream) -> None:
        """Send a response's events into `stream` as they come. Raises `GatewayError` before the first one."""
        events = Events()
        making = await self._preparation.prepare(create, asker, events)
        streamed = StreamedResponse(making, events, stream, self._stores.runs if create.store else None)
        await streamed.make(asker.record)
        if making.resource.status in CONTINUABLE:
            _remember(making, asker)

    async def prepared(self, create: Create, asker: Asker, stream: Stream) -> None:
        """Send the events of a response that says nothing, which others are to continue. Raises `GatewayError`."""
        events = Events()
        making = await self._preparation.prepare(create, asker, events)
        making.tell_beginning("response.created", "response.in_progress")
        making.end(None)
        if create.store:
            await self._stores.responses.add(making.stored(), making.items)
        making.tell_end()
        _remember(making, asker)
        await stream.end(events.take())

    async def queue(self, create: Create, asker: Asker) -> Making:
        """Queue a response that is made without its client. Raises `GatewayError`."""
        events = Events() if create.stream else None
        making = await self._preparation.prepare(create, asker, events)
        making.resource.status = "queued"
        making.tell_beginning("response.created", "response.queued")
        key_id = asker.principal.reference or asker.principal.key_id
        queued = Queued(create.payload | {"store": True}, key_id, tools=switched_on(asker.headers))
        await self._stores.queue.enqueue(
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
        making = await self._preparation.prepare(create, asker)
        making.end(await making.run.make())
        return {
            "id": ids.item("compaction", making.resource.id, 0),
            "object": "response.compaction",
            "created_at": making.resource.created_at,
            "output": making.output.items,
            "usage": making.resource.usage,
        }

    def _payload(self, arrived: Arrived) -> dict[str, Any]:
        payload = json_object(arrived.body, self._settings.limits.max_depth)
        arrived.body = b""  # or it would be held as long as the engine takes
        return payload

    def _without_storing(self, payload: dict[str, Any]) -> Create:
        """Return a request of which nothing is kept, be it in a conversation."""
        conversation = payload.get("conversation")
        create = self._preparation.create({**payload, "conversation": None, "store": False, "background": None})
        create.conversation = conversation_of(conversation)
        return create


def _remember(making: Making, asker: Asker) -> None:
    """Keep a response that is not stored where its connection continues it."""
    if asker.memory is not None and not making.create.store:
        asker.memory.keep(making.resource.id, [*making.earlier, *making.items])
