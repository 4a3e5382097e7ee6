"""Many inputs in one request: each is a request of its own to limits, logs and metrics, and has its own error."""

import asyncio
from typing import Any

import orjson
import structlog

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.errors import GatewayError, InternalError, LimitExceeded
from tandem_orchestrator.gateway.hot_path import Arrived
from tandem_orchestrator.limits.limiter import CONCURRENCY, Limiter, Ticket
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.observability.recorded import report
from tandem_orchestrator.tasks.making import Asker, Given, Maker
from tandem_orchestrator.tasks.version import Version

log = structlog.get_logger()


class Inputs:
    """The inputs of one request."""

    def __init__(self, maker: Maker, limiter: Limiter, version: Version, arrived: Arrived, inputs: list[Any]) -> None:
        self._maker = maker
        self._limiter = limiter
        self._version = version
        self._arrived = arrived
        self._inputs = inputs
        self._running = 0
        self._ended = asyncio.Event()
        self.prompt_tokens = 0
        self.completion_tokens = 0

    async def result(self, number: int) -> bytes:
        """Return what came of an input: `{"index", "output"}` or `{"index", "error"}`. Forgets the input."""
        arrived = self._arrived
        given = Given(self._inputs[number], f"inputs.{number}")
        self._inputs[number] = None
        record = _record(arrived.record, number)
        try:
            ticket = arrived.ticket if number == 0 else await self._admitted(arrived.principal)
            result = await self._made(given, Asker(arrived.principal, record, arrived.headers), ticket)
        except GatewayError as error:
            record.tell(error)
            result = orjson.loads(error.body())
        except Exception:
            log.exception("an input of a task failed", request_id=record.request_id)
            record.tell(InternalError())
            result = orjson.loads(InternalError().body())
        record.status = record.status or 200
        report(record, "POST", record.route, record.route)
        return orjson.dumps({"index": number, **result})

    async def _made(self, given: Given, asker: Asker, ticket: Ticket) -> dict[str, Any]:
        record = asker.record
        self._running += 1
        try:
            made = await self._maker.whole(self._version, given, asker)
        finally:
            self._running -= 1
            self._ended.set()
            ticket.settle(record.prompt_tokens + record.completion_tokens)
            self.prompt_tokens += record.prompt_tokens
            self.completion_tokens += record.completion_tokens
        return {"output": made.output} if made.tandem is None else {"output": made.output, "tandem": made.tandem}

    async def _admitted(self, principal: Principal) -> Ticket:
        """Count an input as a request. Raises `LimitExceeded`, but waits for others of these that stand against it."""
        while True:
            try:
                return self._limiter.admit(principal)
            except LimitExceeded as error:
                if error.code != CONCURRENCY or not self._running:
                    raise
            self._ended.clear()
            await self._ended.wait()


def _record(whole: Record, number: int) -> Record:
    record = Record(f"{whole.request_id}-{number}")
    record.tenant, record.key_id, record.route = whole.tenant, whole.key_id, whole.route
    return record
