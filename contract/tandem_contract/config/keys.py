"""`keys`, `rateLimits`: who may ask, and how much."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr

from tandem_contract.config.base import SecretFile, Section

MOST: Final = 10**15  # far from what a database's integer holds
KEY_VALUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@/-]{0,127}:[!-~]{1,512}|[!-9;-~]{1,512}")


def _key_value(value: SecretStr) -> SecretStr:
    if not KEY_VALUE.fullmatch(value.get_secret_value()):
        raise ValueError("expected `key` or `tenant:key`, the key being visible ASCII characters without spaces")
    return value


class KeyLimits(Section):
    """How much a key may use; what is left out is unlimited."""

    requests_per_minute: int | None = Field(default=None, ge=1, le=MOST)
    """Requests within any 60 seconds."""
    tokens_per_minute: int | None = Field(default=None, ge=1, le=MOST)
    """Prompt and completion tokens within 60 seconds; those of requests under way count when they end."""
    concurrent_requests: int | None = Field(default=None, ge=1, le=MOST)
    """Requests at the same time."""
    tokens_per_day: int | None = Field(default=None, ge=1, le=MOST)
    """Prompt and completion tokens within a day (UTC); kept in the database, or else in Redis."""
    tokens_per_month: int | None = Field(default=None, ge=1, le=MOST)
    """Prompt and completion tokens within a calendar month (UTC); kept in the database, or else in Redis."""


class Keys(Section):
    """API keys. With none at all, everybody who reaches the port may ask."""

    required: bool | None = None
    """Refuse requests without a key. Default: as soon as there is a key."""
    values: list[Annotated[SecretStr, AfterValidator(_key_value)]] = Field(default=[], max_length=1000)
    """Keys in the configuration itself, as `key` or `tenant:key`; meant for the variable API_KEYS."""
    files: list[SecretFile] = Field(default=[], max_length=64)
    """YAML files (or folders of them) with keys, their tenants and limits; read again when they change."""
    admin: SecretFile | None = None
    """Key of the admin API, which creates, lists and revokes keys in the database. Default: no admin API."""


class RateLimits(Section):
    """Limits that are not written at a key itself."""

    requests_per_minute: int | None = Field(default=None, ge=1, le=MOST)
    """All requests to this service within any 60 seconds."""
    tenant_requests_per_minute: int | None = Field(default=None, ge=1, le=MOST)
    """Requests of each tenant within any 60 seconds."""
    defaults: KeyLimits = KeyLimits()
    """Limits of keys that set none of their own, and of anonymous requests together."""
