"""The tables of files and uploads, as `store.migrations` makes them. Times are milliseconds since 1970.

Every row has its tenant, and so has every key. `tandem_stored_files` is kept by triggers, so that it cannot drift.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, String, Table, Text

from tandem_orchestrator.store.tables import METADATA

TENANT: Final = 253
ID: Final = 64
KEY: Final = 128

BLOBS: Final = Table(
    "tandem_blobs",
    METADATA,
    Column("tenant", String(TENANT), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("key", String(KEY), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("touched", BigInteger, nullable=False),
    Index("tandem_blobs_by_key", "key", unique=True),
    Index("tandem_blobs_by_touched", "touched"),
)
"""Bytes that a tenant keeps, once however many files have them: SHA-256, and the key under which they lie.

`touched` is when a file last came to have them.
"""

FILES: Final = Table(
    "tandem_files",
    METADATA,
    Column("tenant", String(TENANT), primary_key=True),
    Column("id", String(ID), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("filename", Text, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger),
    ForeignKeyConstraint(["tenant", "digest"], ["tandem_blobs.tenant", "tandem_blobs.digest"]),
    Index("tandem_files_by_digest", "tenant", "digest"),
    Index("tandem_files_by_created", "created"),
    Index("tandem_files_by_expires", "expires"),
)

UPLOADS: Final = Table(
    "tandem_uploads",
    METADATA,
    Column("tenant", String(TENANT), primary_key=True),
    Column("id", String(ID), primary_key=True),
    Column("filename", Text, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("file_seconds", BigInteger),
    Column("file_id", String(ID)),
    Index("tandem_uploads_by_expires", "expires"),
)
"""Files that come in parts. `bytes` is what its client announced; `file_seconds`, after how long the file expires.

One that is `pending` after it has expired is as good as gone.
"""

PARTS: Final = Table(
    "tandem_upload_parts",
    METADATA,
    Column("tenant", String(TENANT), primary_key=True),
    Column("upload_id", String(ID), primary_key=True),
    Column("id", String(ID), primary_key=True),
    Column("key", String(KEY), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    ForeignKeyConstraint(["tenant", "upload_id"], ["tandem_uploads.tenant", "tandem_uploads.id"], ondelete="CASCADE"),
    Index("tandem_upload_parts_by_key", "key", unique=True),
)
"""Parts of uploads that are pending."""

STORED: Final = Table(
    "tandem_stored_files",
    METADATA,
    Column("tenant", String(TENANT), primary_key=True),
    Column("files", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)
"""What each tenant keeps: files, and bytes of them and of parts of uploads."""

OWNER: Final = Table("tandem_bytes_owner", METADATA, Column("id", String(ID), primary_key=True))
"""One row. Begins the keys of this database's bytes, so that no other one takes them for left over."""
