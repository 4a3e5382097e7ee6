"""A batch, as its client sees it."""

from typing import Any, Final, NamedTuple

import orjson

BATCH: Final = "batch_"


class Usage(NamedTuple):
    """Tokens that requests used."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    def document(self) -> dict[str, Any]:
        """Return OpenAI's object."""
        return {
            "input_tokens": self.input_tokens,
            "input_tokens_details": {"cached_tokens": self.cached_tokens},
            "output_tokens": self.output_tokens,
            "output_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
            "total_tokens": self.input_tokens + self.output_tokens,
        }


class Problem(NamedTuple):
    """What is wrong with a batch, or with a line of its input."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class Batch(NamedTuple):
    """A batch that is kept, as its row has it; times are milliseconds since 1970."""

    tenant: str
    id: str
    status: str
    ending: str
    created: int
    expires: int
    began: int | None
    finalizing: int | None
    cancelling: int | None
    ended: int | None
    key_id: str
    endpoint: str
    completion_window: str
    input_file: str
    metadata: str
    output_seconds: int | None
    model: str
    total: int
    completed: int
    failed: int
    usage: str
    errors: str
    output_file: str | None
    error_file: str | None

    @property
    def key(self) -> tuple[str, str]:
        """What no other one has."""
        return self.tenant, self.id


def document(row: Any) -> dict[str, Any]:
    """Return OpenAI's object for a row with the batch's columns, and the sums over its outcomes after them."""
    batch = Batch(*row[: len(Batch._fields)])
    completed, failed, *tokens = row[len(Batch._fields) :]
    usage = Usage(*orjson.loads(batch.usage)) if batch.ended is not None else Usage(*tokens)
    errors = orjson.loads(batch.errors)
    ended = {f"{batch.status}_at": _seconds(batch.ended)} if batch.ended is not None else {}
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "model": batch.model or None,
        "errors": {"object": "list", "data": [Problem(*each)._asdict() for each in errors]} if errors else None,
        "input_file_id": batch.input_file,
        "completion_window": batch.completion_window,
        "status": batch.status,
        "output_file_id": batch.output_file,
        "error_file_id": batch.error_file,
        "created_at": batch.created // 1000,
        "in_progress_at": _seconds(batch.began),
        "expires_at": batch.expires // 1000,
        "finalizing_at": _seconds(batch.finalizing),
        "completed_at": None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": _seconds(batch.cancelling),
        "cancelled_at": None,
        **ended,
        "request_counts": {"total": batch.total, "completed": completed, "failed": failed},
        "usage": usage.document(),
        "metadata": orjson.loads(batch.metadata) or None,
    }


def _seconds(moment: int | None) -> int | None:
    return None if moment is None else moment // 1000
