"""The tables of vector stores, as `store.migrations` makes them. Times are milliseconds since 1970.

The pieces of documents themselves are in tables of each index: see `retrieval.index`.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, Integer, String, Table, Text

from tandem_orchestrator.store.tables import METADATA

TENANT: Final = 253
ID: Final = 64

VECTOR_STORES: Final = Table(
    "tandem_vector_stores",
    METADATA,
    Column("tenant", String(TENANT), primary_key=True),
    Column("id", String(ID), primary_key=True),
    Column("created", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("metadata", Text, nullable=False),
    Column("expires_days", Integer),
    Column("index_id", String(ID), nullable=False),
    Column("next_index_id", String(ID)),
    Index("tandem_vector_stores_by_used", "used"),
)
"""`index_id` is searched; `next_index_id` is being made to take its place."""

INDEXES: Final = Table(
    "tandem_indexes",
    METADATA,
    Column("id", String(ID), primary_key=True),
    Column("tenant", String(TENANT), nullable=False),
    Column("store_id", String(ID), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("embedding", Text, nullable=False),
    Column("chunking", Text, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("chunks", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Index("tandem_indexes_by_tenant", "tenant", "store_id"),
    Index("tandem_indexes_by_state", "state"),
)
"""Versions of stores: `embedding` is what made the vectors, `chunking` the pieces.

`dimension` is 0 for an index without vectors, and -1 until its tables are made, with the first piece.
A row outlives its store until the tables of the index are dropped; `state` is kept or dropped.
"""

STORE_FILES: Final = Table(
    "tandem_vector_store_files",
    METADATA,
    Column("tenant", String(TENANT), primary_key=True),
    Column("store_id", String(ID), primary_key=True),
    Column("file_id", String(ID), primary_key=True),
    Column("created", BigInteger, nullable=False),
    Column("filename", Text, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("chunking", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("error_code", String(32)),
    Column("error", Text),
    Column("bytes", BigInteger, nullable=False),
    Column("batch_id", String(ID)),
    ForeignKeyConstraint(
        ["tenant", "store_id"], ["tandem_vector_stores.tenant", "tandem_vector_stores.id"], ondelete="CASCADE"
    ),
    Index("tandem_vector_store_files_by_created", "tenant", "store_id", "created", "file_id"),
    Index("tandem_vector_store_files_by_batch", "tenant", "batch_id", "status"),
    Index("tandem_vector_store_files_by_file", "tenant", "file_id"),
)
"""Files of stores; `bytes` are those of their pieces' texts and vectors."""

FILE_BATCHES: Final = Table(
    "tandem_vector_store_batches",
    METADATA,
    Column("tenant", String(TENANT), primary_key=True),
    Column("id", String(ID), primary_key=True),
    Column("store_id", String(ID), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("cancelled", BigInteger),
    ForeignKeyConstraint(
        ["tenant", "store_id"], ["tandem_vector_stores.tenant", "tandem_vector_stores.id"], ondelete="CASCADE"
    ),
    Index("tandem_vector_store_batches_by_store", "tenant", "store_id"),
)

WORK: Final = Table(
    "tandem_ingestions",
    METADATA,
    Column("index_id", String(ID), primary_key=True),
    Column("file_id", String(ID), primary_key=True),
    Column("tenant", String(TENANT), nullable=False),
    Column("store_id", String(ID), nullable=False),
    Column("owner", String(ID), nullable=False),
    Column("turn", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("queued", BigInteger, nullable=False),
    Column("claims", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["tenant", "store_id", "file_id"],
        [
            "tandem_vector_store_files.tenant",
            "tandem_vector_store_files.store_id",
            "tandem_vector_store_files.file_id",
        ],
        ondelete="CASCADE",
    ),
    Index("tandem_ingestions_by_turn", "owner", "turn"),
    Index("tandem_ingestions_by_file", "tenant", "store_id", "file_id"),
)
"""Files that are to be brought into an index.

`owner` is the process that does it, "" while it waits. The least `turn` is next, not before `due`. `position` pieces
are there already, of `bytes`. `claims` counts the processes that took it since one of them last wrote something,
`failures` the tries in a row that ended because what it needs was away.
"""
