"""Keys and the tokens they used."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "tandem_keys",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("name", sa.String(253)),
        sa.Column("tenant", sa.String(253), nullable=False),
        sa.Column("models", sa.JSON),
        sa.Column("tools", sa.JSON),
        sa.Column("requests_per_minute", sa.BigInteger),
        sa.Column("tokens_per_minute", sa.BigInteger),
        sa.Column("concurrent_requests", sa.BigInteger),
        sa.Column("tokens_per_day", sa.BigInteger),
        sa.Column("tokens_per_month", sa.BigInteger),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True)),
        sa.Column("revoked", sa.DateTime(timezone=True)),
    )
    op.create_index("tandem_keys_by_version", "tandem_keys", ["version"])
    op.create_index("tandem_keys_by_tenant", "tandem_keys", ["tenant", "id"])
    version = op.create_table(
        "tandem_keys_version",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(version, [{"id": 1, "version": 0}])
    op.create_table(
        "tandem_tokens",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("key_id", sa.String(253), primary_key=True),
        sa.Column("tokens", sa.BigInteger, nullable=False),
    )
