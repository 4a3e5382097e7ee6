"""The tables of responses and conversations, as `store.migrations` makes them. Times are milliseconds since 1970.

Every row has its tenant, and so has every key. `tandem_stored` is kept by triggers, so that it cannot drift.
"""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, ForeignKeyConstraint, Index, Integer, String, Table, Text

from tandem_orchestrator.store.tables import METADATA

TENANT: Final = 253
ID: Final = 64

RESPONSES: Final = Table(
    "tandem_responses",
    METADATA,
    Column("tenant", String(TENANT), primary_key=True),
    Column("id", String(ID), primary_key=True),
    Column("previous_id", String(ID)),
    Column("conversation_id", String(ID)),
    Column("created", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("compacted", Boolean, nullable=False),
    Column("resource", Text, nullable=False),
    Column("input", Text, nullable=False),
    Column("output", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    ForeignKeyConstraint(["tenant", "previous_id"], ["tandem_responses.tenant", "tandem_responses.id"]),
    Index("tandem_responses_by_previous", "tenant", "previous_id"),
    Index("tandem_responses_by_created", "created"),
)
"""`resource` is the response as the client gets it, without `output`; `input` and `output` are lists of items.

A `hidden` one is deleted, or too old, and kept as the context of those that continue it. One that is `compacted` holds
all that came before it.
"""

RUNS: Final = Table(
    "tandem_response_runs",
    METADATA,
    Column("tenant", String(TENANT), primary_key=True),
    Column("id", String(ID), primary_key=True),
    Column("owner", String(ID), nullable=False),
    Column("turn", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("queued", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("model", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("in_tools", Boolean, nullable=False),
    ForeignKeyConstraint(["tenant", "id"], ["tandem_responses.tenant", "tandem_responses.id"], ondelete="CASCADE"),
    Index("tandem_response_runs_by_turn", "owner", "turn"),
    Index("tandem_response_runs_by_tenant", "tenant", "owner", "turn"),
)
"""Responses that are queued or in progress.

`owner` is the process that makes one, "" while it is queued; a process without a row in `LEASES` is gone. The least
`turn` is next, not before `due`. `request` is what it is made of, empty where only the client's own connection could
get it. When it was last between two passes, it had told `events` events; `in_tools` is true while tools run.
"""

EVENTS: Final = Table(
    "tandem_response_events",
    METADATA,
    Column("tenant", String(TENANT), primary_key=True),
    Column("response_id", String(ID), primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("made", BigInteger, nullable=False),
    Column("events", Text, nullable=False),
    ForeignKeyConstraint(
        ["tenant", "response_id"], ["tandem_responses.tenant", "tandem_responses.id"], ondelete="CASCADE"
    ),
    Index("tandem_response_events_by_made", "made"),
)
"""Events of a stream as they were sent, some in a row; `first` and `last` are their sequence numbers."""

CONVERSATIONS: Final = Table(
    "tandem_conversations",
    METADATA,
    Column("tenant", String(TENANT), primary_key=True),
    Column("id", String(ID), primary_key=True),
    Column("created", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("metadata", Text, nullable=False),
    Index("tandem_conversations_by_used", "used"),
)
"""Whoever adds items changes `used` first, and so holds back all others until the end of the transaction."""

CONVERSATION_ITEMS: Final = Table(
    "tandem_conversation_items",
    METADATA,
    Column("tenant", String(TENANT), primary_key=True),
    Column("conversation_id", String(ID), primary_key=True),
    Column("id", String(ID), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("item", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["tenant", "conversation_id"],
        ["tandem_conversations.tenant", "tandem_conversations.id"],
        ondelete="CASCADE",
    ),
    Index("tandem_conversation_items_by_position", "tenant", "conversation_id", "position", unique=True),
)

STORED: Final = Table(
    "tandem_stored",
    METADATA,
    Column("tenant", String(TENANT), primary_key=True),
    Column("responses", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)
"""What each tenant keeps: responses, and bytes of them and of items of conversations."""

SEALS: Final = Table(
    "tandem_seals",
    METADATA,
    Column("id", String(ID), primary_key=True),
    Column("created", BigInteger, nullable=False),
    Column("key", String(64), nullable=False),
)
"""Keys of what clients keep for the service; the newest one seals."""
