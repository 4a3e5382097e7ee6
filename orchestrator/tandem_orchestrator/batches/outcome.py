"""What came of a line of a batch, as its files tell it."""

from typing import Any, Final, NamedTuple

import orjson

from tandem_orchestrator.batches.batch import Usage
from tandem_orchestrator.errors import GatewayError
from tandem_orchestrator.observability.record import count
from tandem_orchestrator.store.ids import new

LINE: Final = "batch_req_"
OK: Final = 200
UNMADE: Final = {
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "cancelled": ("batch_cancelled", "This request was not executed, as the batch was cancelled."),
}
"""What is told of a line that has no outcome, by how its batch ended."""


class Outcome(NamedTuple):
    """`text` is a line of the output file, or of the error file where it `failed`."""

    text: str
    failed: bool
    usage: Usage


def answered(custom_id: str, request_id: str, body: bytes) -> Outcome:
    """Return the outcome of a request that was answered with `body`."""
    document = orjson.loads(body)  # an engine may write it over several lines
    return Outcome(_answer(custom_id, request_id, OK, document), failed=False, usage=_usage(document.get("usage")))


def refused(custom_id: str, request_id: str, error: GatewayError) -> Outcome:
    """Return the outcome of a request that an error answered."""
    return Outcome(_answer(custom_id, request_id, error.status, orjson.loads(error.body())), failed=True, usage=Usage())


def unmade(custom_id: str, ending: str) -> bytes:
    """Return the line of a request that was not made before its batch ended so."""
    code, message = UNMADE[ending]
    return _line(custom_id, None, {"code": code, "message": message})


def _answer(custom_id: str, request_id: str, status: int, body: dict[str, Any]) -> str:
    response = {"status_code": status, "request_id": request_id, "body": body}
    return _line(custom_id, response, None).decode()


def _line(custom_id: str, response: dict[str, Any] | None, error: dict[str, str] | None) -> bytes:
    line = {"id": LINE + new(), "custom_id": custom_id, "response": response, "error": error}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _usage(told: Any) -> Usage:
    """Return the tokens in an OpenAI `usage` object, of whichever endpoint."""
    if not isinstance(told, dict):
        return Usage()
    given, made = ("input", "output") if "input_tokens" in told else ("prompt", "completion")
    return Usage(
        count(told.get(f"{given}_tokens")),
        _detail(told, f"{given}_tokens_details", "cached_tokens"),
        count(told.get(f"{made}_tokens")),
        _detail(told, f"{made}_tokens_details", "reasoning_tokens"),
    )


def _detail(told: dict[str, Any], details: str, name: str) -> int:
    found = told.get(details)
    return count(found.get(name)) if isinstance(found, dict) else 0
