"""The tables, as `migrations` makes them. Their names begin with `tandem_`, so that a database may be shared."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import JSON, BigInteger, Column, Date, DateTime, Dialect, Index, Integer, MetaData, String, Table
from sqlalchemy.types import TypeDecorator


class Utc(TypeDecorator[datetime]):
    """A moment in UTC; SQLite, which knows no time zones, keeps it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 # SQLAlchemy's
        """Return what was stored, with its time zone."""
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


METADATA: Final = MetaData()

KEYS: Final = Table(
    "tandem_keys",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("prefix", String(16), nullable=False),
    Column("name", String(253)),
    Column("tenant", String(253), nullable=False),
    Column("models", JSON(none_as_null=True)),
    Column("tools", JSON(none_as_null=True)),
    Column("requests_per_minute", BigInteger),
    Column("tokens_per_minute", BigInteger),
    Column("concurrent_requests", BigInteger),
    Column("tokens_per_day", BigInteger),
    Column("tokens_per_month", BigInteger),
    Column("created", Utc, nullable=False),
    Column("expires", Utc),
    Column("revoked", Utc),
    Index("tandem_keys_by_version", "version"),
    Index("tandem_keys_by_tenant", "tenant", "id"),
)
"""API keys. `version` is that of the key's last change, out of `tandem_keys_version`."""

KEYS_VERSION: Final = Table(
    "tandem_keys_version",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("version", BigInteger, nullable=False),
)
"""One row. Whoever changes keys raises it first, and so holds back all others until the end of the transaction:
who has seen a version has seen all changes up to it."""

TOKENS: Final = Table(
    "tandem_tokens",
    METADATA,
    Column("day", Date, primary_key=True),
    Column("key_id", String(253), primary_key=True),
    Column("tokens", BigInteger, nullable=False),
)
"""Tokens that each key used on a day (UTC)."""

LEASES: Final = Table(
    "tandem_leases",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("until", BigInteger, nullable=False),
)
"""What one process at a time may do, and which processes there are; a row counts until its time is up."""
