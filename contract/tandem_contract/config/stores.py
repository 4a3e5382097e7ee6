"""`database`, `redis`: what outlives a process or is shared between replicas."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from tandem_contract.config.base import Seconds, SecretFile, Section


def _database_url(url: SecretStr) -> SecretStr:
    if not re.fullmatch(r"sqlite(\+\w+)?:///[^:?]+|postgres(ql)?(\+\w+)?://.+", url.get_secret_value()):
        raise ValueError("expected sqlite:///path or postgresql://user:password@host/name")
    return url


class Database(Section):
    """Where keys, token budgets, responses and conversations are kept: SQLite for one replica, PostgreSQL for more."""

    url: Annotated[SecretStr, AfterValidator(_database_url)] = SecretStr("sqlite:///tandem.db")
    """`sqlite:///path` or `postgresql://user:password@host/name`. SQLite is opened when it is first needed."""
    url_from: SecretFile | None = None
    """The URL as a secret; wins over url."""
    pool_size: int = Field(default=5, ge=1, le=1000)
    """Connections to PostgreSQL, in each process."""
    max_overflow: int = Field(default=5, ge=0, le=1000)
    """Further connections while all of these are in use."""
    statement_timeout_seconds: Seconds = Field(default=10.0, le=3600)
    """Time for one statement; what takes longer counts as a failure of the database."""


class Redis(Section):
    """Lets limits hold across replicas (Redis 6.2 or later). Without it, and while it is down, each has its own."""

    url: SecretStr | None = None
    """`redis://[user:password@]host:port/db`, or rediss:// for TLS. Token budgets are kept there without a database."""
    url_from: SecretFile | None = None
    """The URL as a secret; wins over url."""
    prefix: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^\S+$")] = "tandem"
    """Start of every key, so that services may share a Redis."""
    sync_seconds: Seconds = Field(default=0.2, le=60)
    """How often counts are shared, which is how far replicas lag behind each other; requests never wait for it."""
    answers_seconds: int | None = Field(default=None, ge=1, le=86_400)
    """How long answers are kept and given again (docs/caching.md)."""
