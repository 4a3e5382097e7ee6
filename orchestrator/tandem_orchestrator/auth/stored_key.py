"""An API key in the database. Of the key itself only its hash is there."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """A row; moments are in UTC, limits that are `None` do not limit."""

    id: str
    hash: str = field(repr=False)
    """SHA-256 in hexadecimal digits."""
    prefix: str
    """The key's first characters, by which people tell keys apart."""
    name: str | None
    tenant: str
    models: list[str] | None
    tools: list[str] | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None
    tokens_per_day: int | None
    tokens_per_month: int | None
    created: datetime
    expires: datetime | None
    revoked: datetime | None = None
    version: int = 0
