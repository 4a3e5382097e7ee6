"""Vector stores."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

TABLES = (
    "tandem_ingestions",
    "tandem_vector_store_batches",
    "tandem_vector_store_files",
    "tandem_vector_stores",
    "tandem_indexes",
)
HOLDS = ("tandem_vector_stores", "tandem_indexes")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "tandem_vector_stores",
        sa.Column("tenant", sa.String(253), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("expires_days", sa.Integer),
        sa.Column("index_id", sa.String(64), nullable=False),
        sa.Column("next_index_id", sa.String(64)),
    )
    op.create_index("tandem_vector_stores_by_used", "tandem_vector_stores", ["used"])
    op.create_table(
        "tandem_indexes",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(253), nullable=False),
        sa.Column("store_id", sa.String(64), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("embedding", sa.Text, nullable=False),
        sa.Column("chunking", sa.Text, nullable=False),
        sa.Column("dimension", sa.Integer, nullable=False),
        sa.Column("chunks", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
    )
    op.create_index("tandem_indexes_by_tenant", "tandem_indexes", ["tenant", "store_id"])
    op.create_index("tandem_indexes_by_state", "tandem_indexes", ["state"])
    _files()


def downgrade() -> None:
    """Drop all of it."""
    for table in TABLES:
        op.drop_table(table)


def _files() -> None:
    op.create_table(
        "tandem_vector_store_files",
        sa.Column("tenant", sa.String(253), primary_key=True),
        sa.Column("store_id", sa.String(64), primary_key=True),
        sa.Column("file_id", sa.String(64), primary_key=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("chunking", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("error_code", sa.String(32)),
        sa.Column("error", sa.Text),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("batch_id", sa.String(64)),
        _of_store(),
    )
    table = "tandem_vector_store_files"
    op.create_index(f"{table}_by_created", table, ["tenant", "store_id", "created", "file_id"])
    op.create_index(f"{table}_by_batch", table, ["tenant", "batch_id", "status"])
    op.create_index(f"{table}_by_file", table, ["tenant", "file_id"])
    op.create_table(
        "tandem_vector_store_batches",
        sa.Column("tenant", sa.String(253), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("store_id", sa.String(64), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("cancelled", sa.BigInteger),
        _of_store(),
    )
    op.create_index("tandem_vector_store_batches_by_store", "tandem_vector_store_batches", ["tenant", "store_id"])
    op.create_table(
        "tandem_ingestions",
        sa.Column("index_id", sa.String(64), primary_key=True),
        sa.Column("file_id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(253), nullable=False),
        sa.Column("store_id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("turn", sa.BigInteger, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("queued", sa.BigInteger, nullable=False),
        sa.Column("claims", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "store_id", "file_id"],
            [f"{table}.{name}" for name in ("tenant", "store_id", "file_id")],
            ondelete="CASCADE",
        ),
    )
    op.create_index("tandem_ingestions_by_turn", "tandem_ingestions", ["owner", "turn"])
    op.create_index("tandem_ingestions_by_file", "tandem_ingestions", ["tenant", "store_id", "file_id"])


def _of_store() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant", "store_id"], ["tandem_vector_stores.tenant", "tandem_vector_stores.id"], ondelete="CASCADE"
    )
