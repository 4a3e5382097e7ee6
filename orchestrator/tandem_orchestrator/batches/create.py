"""A request for a batch, checked: `POST /v1/batches`. Fields as in OpenAI's API (openapi 2.3.0)."""

import re
from typing import Any, Final, NamedTuple

from tandem_orchestrator.batches.endpoints import ENDPOINTS
from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.store.metadata import metadata

WINDOW: Final = re.compile(r"([1-9][0-9]{0,2})([hd])")
HOURS: Final = {"h": 1, "d": 24}
MOST_HOURS: Final = 7 * 24
ANCHOR: Final = "created_at"
OUTPUT_SECONDS: Final = range(3600, 2_592_000 + 1)
KNOWN: Final = frozenset({"input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"})


class Create(NamedTuple):
    """What is wanted."""

    input_file: str
    endpoint: str
    window: str
    milliseconds: int
    """The length of the window."""
    metadata: dict[str, str]
    output_seconds: int | None
    """After how long the files with the results expire."""


def checked(payload: dict[str, Any]) -> Create:
    """Return what is wanted. Raises `BadRequest`, which names the field."""
    for name in payload:
        if name not in KNOWN:
            raise BadRequest(f"`{name[:64]}` is no field of a batch", param=name[:64])
    input_file, endpoint, window = (payload.get(name) for name in ("input_file_id", "endpoint", "completion_window"))
    if not isinstance(input_file, str) or not input_file:
        raise BadRequest("`input_file_id` must be the id of a file with the purpose batch", param="input_file_id")
    if not isinstance(endpoint, str) or endpoint not in ENDPOINTS:
        raise BadRequest(f"`endpoint` must be one of {', '.join(ENDPOINTS)}", param="endpoint", code="invalid_endpoint")
    return Create(
        input_file,
        endpoint,
        str(window),
        _milliseconds(window),
        metadata(payload.get("metadata")),
        _output_seconds(payload.get("output_expires_after")),
    )


def _milliseconds(window: Any) -> int:
    found = WINDOW.fullmatch(window) if isinstance(window, str) else None
    hours = int(found[1]) * HOURS[found[2]] if found is not None else 0
    if not 0 < hours <= MOST_HOURS:
        problem = "`completion_window` must be a number of hours or days up to 7d, such as 24h"
        raise BadRequest(problem, param="completion_window", code="invalid_completion_window")
    return hours * 3_600_000


def _output_seconds(expires_after: Any) -> int | None:
    if expires_after is None:
        return None
    if not isinstance(expires_after, dict) or expires_after.get("anchor") != ANCHOR:
        raise BadRequest(f"`output_expires_after.anchor` must be {ANCHOR!r}", param="output_expires_after.anchor")
    seconds = expires_after.get("seconds")
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds not in OUTPUT_SECONDS:
        most = OUTPUT_SECONDS.stop - 1
        problem = f"`output_expires_after.seconds` must be a number from {OUTPUT_SECONDS.start} to {most}"
        raise BadRequest(problem, param="output_expires_after.seconds")
    return seconds
