"""Batches."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

TABLES = ("tandem_batch_outcomes", "tandem_batch_spans", "tandem_batches")
HOLDS = ("tandem_batches",)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "tandem_batches",
        sa.Column("tenant", sa.String(253), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("ending", sa.String(16), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger) for name in ("began", "finalizing", "cancelling", "ended")),
        sa.Column("key_id", sa.String(253), nullable=False),
        sa.Column("endpoint", sa.String(64), nullable=False),
        sa.Column("completion_window", sa.String(8), nullable=False),
        sa.Column("input_file", sa.String(64), nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("output_seconds", sa.BigInteger),
        sa.Column("model", sa.Text, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("total", "completed", "failed")),
        sa.Column("usage", sa.Text, nullable=False),
        sa.Column("errors", sa.Text, nullable=False),
        sa.Column("output_file", sa.String(64)),
        sa.Column("error_file", sa.String(64)),
    )
    op.create_index("tandem_batches_by_status", "tandem_batches", ["status", "created"])
    op.create_index("tandem_batches_by_tenant", "tandem_batches", ["tenant", "status"])
    op.create_table(
        "tandem_batch_spans",
        *_of_batch(),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("lines", sa.Text, nullable=False),
        _in_batch(),
    )
    tokens = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
    op.create_table(
        "tandem_batch_outcomes",
        *_of_batch(),
        sa.Column("span", sa.Integer, primary_key=True),
        sa.Column("first", sa.Integer, primary_key=True),
        sa.Column("completed", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in tokens),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("done", "output", "errors")),
        _in_batch(),
    )


def downgrade() -> None:
    """Drop all of it."""
    for table in TABLES:
        op.drop_table(table)


def _of_batch() -> tuple[sa.Column[str], sa.Column[str]]:
    return sa.Column("tenant", sa.String(253), primary_key=True), sa.Column("batch_id", sa.String(64), primary_key=True)


def _in_batch() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant", "batch_id"], ["tandem_batches.tenant", "tandem_batches.id"], ondelete="CASCADE"
    )
