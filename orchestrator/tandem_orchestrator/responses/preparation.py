"""Gets together what a response is made of."""

from collections.abc import Sequence
from typing import Any, Final

from tandem_contract.config import OrchestratorSettings

from tandem_orchestrator.engines.endpoints import CHAT, ENDPOINTS
from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.gateway.generate import Generator
from tandem_orchestrator.gateway.request import Request
from tandem_orchestrator.responses import ids
from tandem_orchestrator.responses.approvals import approved
from tandem_orchestrator.responses.asker import Asker
from tandem_orchestrator.responses.create import Create
from tandem_orchestrator.responses.events import Events
from tandem_orchestrator.responses.items import Item
from tandem_orchestrator.responses.making import Before, Making
from tandem_orchestrator.responses.output import OPENAI_REASONING, STANDARD_REASONING, Output
from tandem_orchestrator.responses.payload import chat_payload
from tandem_orchestrator.responses.prompt import chat_of
from tandem_orchestrator.responses.references import check_results, resolved
from tandem_orchestrator.responses.resource import Resource
from tandem_orchestrator.responses.run import Run
from tandem_orchestrator.responses.seal import Seal, Sealer
from tandem_orchestrator.responses.session import ResponseSession
from tandem_orchestrator.responses.speech import OwnSpeech, Speech
from tandem_orchestrator.responses.stores import Stores
from tandem_orchestrator.responses.tools import response_tools
from tandem_orchestrator.tools.toolbox import Toolbox

SEALED_REASONING: Final = "reasoning.encrypted_content"
NO_SEAL: Final = Seal([])
NO_INPUT: Final = "`input` must be a text or a list of items, and not empty"


class Preparation:
    """Prepares responses under one configuration."""

    def __init__(self, generator: Generator, toolbox: Toolbox, stores: Stores, settings: OrchestratorSettings) -> None:
        self._generator = generator
        self._toolbox = toolbox
        self._stores = stores
        self._settings = settings

    def create(self, payload: dict[str, Any]) -> Create:
        """Check a request. Raises `BadRequest`."""
        return Create(payload, store=self._settings.responses.store)

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
        await tools.ready()
        if create.store:
            await self._stores.responses.check()
            await self._stores.quotas.check(principal.tenant, self._settings.responses.quota)
        earlier = await self._earlier(create, asker)
        given = await resolved(create.input, earlier, self._stores.responses, principal.tenant)
        check_results(given, earlier)
        if not given and not earlier:
            raise BadRequest(NO_INPUT, param="input")
        sealer = await self._sealer([*earlier, *given], create, principal.tenant)
        chat = chat_of([*earlier, *given, *done], create.instructions, model.reasoning_field, sealer.open)
        payload = chat_payload(create, chat.messages, list(tools.declarations.values()), tools.choice)
        request = Request(ENDPOINTS[CHAT], payload, create.model, stream=events is not None)
        call = self._generator.call(request, model, principal, record)
        resource = resource or Resource(create, ids.response(), model.name)
        session = ResponseSession(request, tools.use, tools, create, self._settings.tools)
        session.passages, session.found_before = chat.passages, chat.found_before
        name = OPENAI_REASONING if self._settings.responses.reasoning_events == "openai" else STANDARD_REASONING
        output = Output(resource.id, events, name, done)
        output.include, output.cite = create.include, session.cited
        if SEALED_REASONING in create.include:
            output.seal = sealer.close
        allowed = [] if done else approved(given, earlier, tools)
        session.consented = frozenset(each.call.id for each in allowed)
        guard = self._generator.guard(model, principal, record)
        if guard is not None and events is not None:
            self._generator.screen(call, guard, session)
        speech = OwnSpeech() if model.own_responses and call.screen is None else Speech()
        call.path = speech.path
        run = Run(self._generator, call, session, output, create, sealer, speech, allowed)
        listed = {item["server_label"] for item in (*earlier, *done) if item["type"] == "mcp_list_tools"}
        run.lists = [item for item in tools.lists if item["server_label"] not in listed]
        run.guard = guard
        run.heartbeat_seconds = self._settings.hold.heartbeat_seconds
        return Making(principal.tenant, run, resource, Before(earlier, given))

    async def _earlier(self, create: Create, asker: Asker) -> list[Item]:
        tenant = asker.principal.tenant
        if create.previous_id is not None:
            remembered = None
            if asker.memory is not None and not create.store:  # what is stored can only continue what is stored
                remembered = asker.memory.items(create.previous_id)
            return (
                remembered if remembered is not None else await self._stores.responses.chain(tenant, create.previous_id)
            )
        if create.conversation is not None:
            return await self._stores.responses.conversation_items(tenant, create.conversation)
        return []

    async def _sealer(self, items: Sequence[Item], create: Create, tenant: str) -> Sealer:
        """Return what seals and opens; the keys are only read where something is sealed."""
        wanted = create.compact or create.compact_threshold is not None or SEALED_REASONING in create.include
        if not (wanted or any(item.get("encrypted_content") for item in items)):
            return Sealer(NO_SEAL, tenant)
        return Sealer(await self._stores.seals.seal(self._settings.responses.encryption_keys), tenant)
