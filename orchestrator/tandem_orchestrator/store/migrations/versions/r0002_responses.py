"""Responses and conversations."""

import sqlalchemy as sa
from alembic import op

from tandem_orchestrator.store.migrations import counting

revision = "0002"
down_revision = "0001"

COUNTS = counting.Counts("tandem_stored", "responses", {"tandem_responses": "1", "tandem_conversation_items": "0"})
TABLES = (
    "tandem_response_events",
    "tandem_response_runs",
    "tandem_responses",
    "tandem_conversation_items",
    "tandem_conversations",
    "tandem_stored",
    "tandem_leases",
    "tandem_seals",
)
HOLDS = ("tandem_responses", "tandem_conversations", "tandem_conversation_items", "tandem_seals")


def upgrade() -> None:
    """Make the tables, and the triggers that count what tenants store."""
    _responses()
    _conversations()
    op.create_table(
        "tandem_stored",
        sa.Column("tenant", sa.String(253), primary_key=True),
        sa.Column("responses", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "tandem_leases",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "tandem_seals",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
    )
    counting.make(COUNTS)


def downgrade() -> None:
    """Drop all of it."""
    for table in TABLES:
        op.drop_table(table)
    counting.drop(COUNTS)


def _responses() -> None:
    op.create_table(
        "tandem_responses",
        sa.Column("tenant", sa.String(253), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("previous_id", sa.String(64)),
        sa.Column("conversation_id", sa.String(64)),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("hidden", sa.Boolean, nullable=False),
        sa.Column("compacted", sa.Boolean, nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("input", sa.Text, nullable=False),
        sa.Column("output", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["tenant", "previous_id"], ["tandem_responses.tenant", "tandem_responses.id"]),
    )
    op.create_index("tandem_responses_by_previous", "tandem_responses", ["tenant", "previous_id"])
    op.create_index("tandem_responses_by_created", "tandem_responses", ["created"])
    op.create_table(
        "tandem_response_runs",
        sa.Column("tenant", sa.String(253), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("turn", sa.BigInteger, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("queued", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("events", sa.BigInteger, nullable=False),
        sa.Column("in_tools", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "id"], ["tandem_responses.tenant", "tandem_responses.id"], ondelete="CASCADE"
        ),
    )
    op.create_index("tandem_response_runs_by_turn", "tandem_response_runs", ["owner", "turn"])
    op.create_index("tandem_response_runs_by_tenant", "tandem_response_runs", ["tenant", "owner", "turn"])
    op.create_table(
        "tandem_response_events",
        sa.Column("tenant", sa.String(253), primary_key=True),
        sa.Column("response_id", sa.String(64), primary_key=True),
        sa.Column("first", sa.BigInteger, primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("made", sa.BigInteger, nullable=False),
        sa.Column("events", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "response_id"], ["tandem_responses.tenant", "tandem_responses.id"], ondelete="CASCADE"
        ),
    )
    op.create_index("tandem_response_events_by_made", "tandem_response_events", ["made"])


def _conversations() -> None:
    op.create_table(
        "tandem_conversations",
        sa.Column("tenant", sa.String(253), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
    )
    op.create_index("tandem_conversations_by_used", "tandem_conversations", ["used"])
    op.create_table(
        "tandem_conversation_items",
        sa.Column("tenant", sa.String(253), primary_key=True),
        sa.Column("conversation_id", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "conversation_id"],
            ["tandem_conversations.tenant", "tandem_conversations.id"],
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "tandem_conversation_items_by_position",
        "tandem_conversation_items",
        ["tenant", "conversation_id", "position"],
        unique=True,
    )
