"""One attempt at a line of a batch."""

from dataclasses import dataclass
from typing import Final

import orjson
import structlog

from tandem_orchestrator.auth.keys import Keys
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.batches.batch import Batch
from tandem_orchestrator.batches.endpoints import ENDPOINTS, Makers
from tandem_orchestrator.batches.lines import Line
from tandem_orchestrator.batches.outcome import Outcome, answered, refused
from tandem_orchestrator.engines.answers import HANDED_ON
from tandem_orchestrator.errors import (
    Cut,
    GatewayError,
    InternalError,
    KeyUnusable,
    LimitExceeded,
    Malformed,
    Refused,
    RetryLater,
    StorageFull,
    TimedOut,
    Unauthorized,
    Unreachable,
)
from tandem_orchestrator.limits.limiter import Limiter
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.observability.recorded import report
from tandem_orchestrator.responses.asker import Asker

ROUTE: Final = "/v1/batches"
AWAY: Final = (Unreachable, KeyUnusable, RetryLater, StorageFull)
"""Waiting for these is no failure."""
BROKEN: Final = (Cut, TimedOut, Malformed)
"""After these another attempt may go well."""
MOST_FAILURES: Final = 3

log = structlog.get_logger()


class Later(Exception):
    """The line is to be made later; `of_batch` where the key's budget is used up, which is not the engine's fault."""

    def __init__(self, why: GatewayError, *, of_batch: bool, counts: bool) -> None:
        super().__init__()
        self.why = why
        self.of_batch = of_batch
        self.counts = counts


@dataclass(frozen=True, slots=True)
class Means:
    """What it takes, under the present configuration."""

    makers: Makers
    keys: Keys
    limiter: Limiter


async def attempt(batch: Batch, line: Line, failures: int, record: Record, means: Means) -> Outcome:
    """Make a line; return what came of it. Raises `Later`.

    Its tokens count against its key's budgets, but not against what a key may do in a minute, where no client waits.
    A line that is cancelled costs nothing, as it is made again.
    """
    record.route, record.yields = ROUTE, True
    try:
        principal = principal_of(batch, means.keys)
        record.tenant, record.key_id = principal.tenant, principal.key_id
        _check_budgets(means.limiter, principal)
        asked = orjson.loads(orjson.dumps(line.body))  # is changed on its way, and the line stays as it came
        body = await ENDPOINTS[batch.endpoint](means.makers, asked, Asker(principal, record, []))
        means.limiter.charge(principal, record.prompt_tokens + record.completion_tokens)
        outcome = answered(line.custom_id, record.request_id, body)
    except Later:
        raise
    except GatewayError as error:
        _sort_out(error, failures)
        record.tell(error)
        outcome = refused(line.custom_id, record.request_id, error)
    except Exception:
        log.exception("a line of a batch could not be made", id=batch.id, request_id=record.request_id)
        record.tell(InternalError())
        outcome = refused(line.custom_id, record.request_id, InternalError())
    record.status = record.status or 200
    report(record, "POST", ROUTE, ROUTE)
    return outcome


def principal_of(batch: Batch, keys: Keys) -> Principal:
    """Return who has made the batch, as the key is now. Raises `Unauthorized`, `Forbidden`."""
    principal = keys.principal(batch.key_id)
    if principal.tenant != batch.tenant:
        raise Unauthorized("the API key of this batch is another tenant's now")
    return principal


def _check_budgets(limiter: Limiter, principal: Principal) -> None:
    try:
        limiter.check_budgets(principal)
    except LimitExceeded as error:
        raise Later(error, of_batch=True, counts=False) from None


def _sort_out(error: GatewayError, failures: int) -> None:
    """Raise `Later` where it is too early to give up."""
    if isinstance(error, AWAY) or (isinstance(error, Refused) and error.status in HANDED_ON):
        raise Later(error, of_batch=False, counts=False)
    if isinstance(error, BROKEN) and failures + 1 < MOST_FAILURES:
        raise Later(error, of_batch=False, counts=True)
