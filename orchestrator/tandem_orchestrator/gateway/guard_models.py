"""Asks guard models whether a text may go on."""

from typing import Any, Final

from tandem_orchestrator.engines.catalogue import Catalogue
from tandem_orchestrator.engines.dispatch import Call, Dispatcher
from tandem_orchestrator.engines.endpoints import CHAT, ENDPOINTS
from tandem_orchestrator.errors import GatewayError
from tandem_orchestrator.gateway import rewrite
from tandem_orchestrator.gateway.request import Request
from tandem_orchestrator.observability.record import CLIENT_LEFT, Record
from tandem_orchestrator.observability.recorded import report
from tandem_orchestrator.store.ids import new

ROUTE: Final = "guardrail"
OK: Final = 200


class GuardModels:
    """What they read and say counts in metrics as a request of its own, and against nobody's limits.

    No guardrail judges it: it would ask for ever.
    """

    def __init__(self, catalogue: Catalogue, dispatcher: Dispatcher) -> None:
        self._catalogue = catalogue
        self._dispatcher = dispatcher

    async def ask(self, name: str, chat: dict[str, Any]) -> object:
        """Return what the model says to a chat, which may be anything. Raises `GatewayError`."""
        record = Record(f"guard_{new()}")
        record.route, record.status = ROUTE, CLIENT_LEFT  # which is told where nobody waits any more
        try:
            model = self._catalogue.find(name)
            record.model = model.name
            request = Request(ENDPOINTS[CHAT], chat, model.name, stream=False)
            rewrite.apply(request, model, None, 1)
            _, answer = await self._dispatcher.complete(Call(CHAT, model, record), request.body())
            record.status = OK
        except GatewayError as error:
            record.tell(error)
            raise
        finally:
            report(record, "POST", ROUTE, ROUTE)
        return (answer["choices"][0].get("message") or {}).get("content")
