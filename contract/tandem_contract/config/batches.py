"""`batches`: how requests in files are made."""

from pydantic import Field

from tandem_contract.config.base import Section


class Batches(Section):
    """Batches (`/v1/batches`)."""

    concurrency: int = Field(default=256, ge=1, le=10_000)
    """Requests of each model under way together at the most; other requests come first."""
    max_queued: int = Field(default=100, ge=1, le=1_000_000)
    """Unfinished batches of a tenant; more are refused."""
