"""A response in the making, with what is told of it."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

from tandem_orchestrator.errors import GatewayError
from tandem_orchestrator.observability.metrics import RESPONSES
from tandem_orchestrator.observability.prometheus import Labelled
from tandem_orchestrator.responses import ids
from tandem_orchestrator.responses.events import Events
from tandem_orchestrator.responses.items import Item, kept
from tandem_orchestrator.responses.output import INCOMPLETE
from tandem_orchestrator.responses.resource import Resource, failure, usage_of, whole
from tandem_orchestrator.responses.run import Run
from tandem_orchestrator.responses.store import Stored

_ended = Labelled(RESPONSES)
INTERRUPTED: Final = "interrupted"
"""Why a response is incomplete whose client left, or whose server was stopped."""


class Before(NamedTuple):
    """The items of which a response is made: those that came before it, and its own input."""

    earlier: Sequence[Item]
    given: Sequence[Item]


class Making:
    """What belongs together while a response is made."""

    def __init__(
        self,
        tenant: str,
        run: Run,
        resource: Resource,
        before: Before,
    ) -> None:
        self.create = run.create
        self.run = run
        self.output = run.output
        self.resource = resource
        self.earlier = before.earlier
        self.given = [
            kept(item, ids.item(item["type"], resource.id, n, of_input=True)) for n, item in enumerate(before.given)
        ]
        self.tenant = tenant

    @property
    def items(self) -> list[Item]:
        """What the response was given, and what came of it."""
        return [*self.given, *self.output.items]

    def stored(self) -> Stored:
        """Return it as it is to be kept now."""
        items = self.output.items
        return Stored(
            self.tenant,
            self.resource.id,
            self.create.previous_id,
            self.create.conversation,
            self.resource.status,
            self.resource.written().decode(),
            orjson.dumps(self.given).decode(),
            orjson.dumps(items).decode(),
            any(item["type"] == "compaction" for item in items),
        )

    def whole(self) -> bytes:
        """Return it as its client gets it, in JSON."""
        return whole(self.resource.written(), orjson.dumps(self.output.shown()))

    def tell_beginning(self, *names: str) -> None:
        """Tell a stream that the response has begun, by events of these names."""
        self._tell(*names)

    def end(self, cut: str | None) -> None:
        """Note that it ended; `cut` is why it is incomplete."""
        self._count("completed" if cut is None else "incomplete")
        if cut is None:
            self.resource.end("completed")
        else:
            self.resource.end("incomplete", incomplete_details={"reason": cut})

    def cut_off(self) -> None:
        """Note that it ends here, as nobody waits for it any more."""
        self.output.end_all(INCOMPLETE)
        self._count("incomplete")
        self.resource.end("incomplete", incomplete_details={"reason": INTERRUPTED})

    def fail(self, error: GatewayError) -> None:
        """Note that it failed."""
        self.output.end_all(INCOMPLETE)
        self._count("failed")
        self.resource.end("failed", error=failure(error))
        tell_error(self.output.events, error, standard=self.output.standard)

    def tell_end(self) -> None:
        """Tell a stream how the response ended."""
        self._tell(f"response.{self.resource.status}")

    def _tell(self, *names: str) -> None:
        if (events := self.output.events) is not None:
            fields = {"response": orjson.Fragment(self.whole())}
            for name in names:
                events.add(name, fields)

    def _count(self, status: str) -> None:
        """Note that it ended, and what it took."""
        _ended[status].inc()
        self.resource.usage = usage_of(self.run.session.usage)
        self.resource.turns_cut = self.run.turns_cut
        if self.run.guard is not None and self.run.guard.decisions:
            self.resource.guardrails = self.run.guard.decisions.shown


def tell_error(events: Events | None, error: GatewayError, *, standard: bool = False) -> None:
    """Tell a stream what went wrong, in OpenAI's form or the `standard`'s; that the response failed is to follow."""
    if events is not None:
        told: dict[str, Any] = {"code": str(error.code or error.type), "message": error.message, "param": error.param}
        if standard:
            told["error"] = {"type": error.type, **told}
        events.add("error", told)
