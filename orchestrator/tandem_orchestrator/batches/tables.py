"""The tables of batches, as `store.migrations` makes them. Times are milliseconds since 1970."""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, Integer, String, Table, Text

from tandem_orchestrator.store.tables import METADATA

TENANT: Final = 253
ID: Final = 64

BATCHES: Final = Table(
    "tandem_batches",
    METADATA,
    Column("tenant", String(TENANT), primary_key=True),
    Column("id", String(ID), primary_key=True),
    Column("status", String(16), nullable=False),
    Column("ending", String(16), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("began", BigInteger),
    Column("finalizing", BigInteger),
    Column("cancelling", BigInteger),
    Column("ended", BigInteger),
    Column("key_id", String(TENANT), nullable=False),
    Column("endpoint", String(64), nullable=False),
    Column("completion_window", String(8), nullable=False),
    Column("input_file", String(ID), nullable=False),
    Column("metadata", Text, nullable=False),
    Column("output_seconds", BigInteger),
    Column("model", Text, nullable=False),
    Column("total", Integer, nullable=False),
    Column("completed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("usage", Text, nullable=False),
    Column("errors", Text, nullable=False),
    Column("output_file", String(ID)),
    Column("error_file", String(ID)),
    Index("tandem_batches_by_status", "status", "created"),
    Index("tandem_batches_by_tenant", "tenant", "status"),
)
"""`ending` is the status that it is to have in the end. `key_id` names the key that its requests are made with.

`completed`, `failed` and `usage` (four numbers of tokens in JSON) are those of the end: until then they are sums over
the outcomes.
"""

SPANS: Final = Table(
    "tandem_batch_spans",
    METADATA,
    Column("tenant", String(TENANT), primary_key=True),
    Column("batch_id", String(ID), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("lines", Text, nullable=False),
    ForeignKeyConstraint(["tenant", "batch_id"], ["tandem_batches.tenant", "tandem_batches.id"], ondelete="CASCADE"),
)
"""Some lines of the input in a row, as they came; deleted when each has its outcome. `number` is their order."""

OUTCOMES: Final = Table(
    "tandem_batch_outcomes",
    METADATA,
    Column("tenant", String(TENANT), primary_key=True),
    Column("batch_id", String(ID), primary_key=True),
    Column("span", Integer, primary_key=True),
    Column("first", Integer, primary_key=True),
    Column("completed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("done", Text, nullable=False),
    Column("output", Text, nullable=False),
    Column("errors", Text, nullable=False),
    ForeignKeyConstraint(["tenant", "batch_id"], ["tandem_batches.tenant", "tandem_batches.id"], ondelete="CASCADE"),
)
"""What came of some lines of a span, written together: lines of the output and of the error file.

`done` is a list of which ones of the span they are, `first` the least of them.
"""
