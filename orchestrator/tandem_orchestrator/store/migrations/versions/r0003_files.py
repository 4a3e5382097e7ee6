"""Files and uploads."""

from secrets import token_hex

import sqlalchemy as sa
from alembic import op

from tandem_orchestrator.store.migrations import counting

revision = "0003"
down_revision = "0002"

COUNTS = counting.Counts("tandem_stored_files", "files", {"tandem_files": "1", "tandem_upload_parts": "0"})
TABLES = (
    "tandem_upload_parts",
    "tandem_uploads",
    "tandem_files",
    "tandem_blobs",
    "tandem_stored_files",
    "tandem_bytes_owner",
)
HOLDS = ("tandem_files", "tandem_uploads", "tandem_upload_parts", "tandem_blobs")


def upgrade() -> None:
    """Make the tables, and the triggers that count what tenants keep."""
    _files()
    _uploads()
    op.create_table(
        "tandem_stored_files",
        sa.Column("tenant", sa.String(253), primary_key=True),
        sa.Column("files", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    owner = op.create_table("tandem_bytes_owner", sa.Column("id", sa.String(64), primary_key=True))
    op.bulk_insert(owner, [{"id": token_hex(8)}])
    counting.make(COUNTS)


def downgrade() -> None:
    """Drop all of it; the bytes stay where they are."""
    for table in TABLES:
        op.drop_table(table)
    counting.drop(COUNTS)


def _files() -> None:
    op.create_table(
        "tandem_blobs",
        sa.Column("tenant", sa.String(253), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("touched", sa.BigInteger, nullable=False),
    )
    op.create_index("tandem_blobs_by_key", "tandem_blobs", ["key"], unique=True)
    op.create_index("tandem_blobs_by_touched", "tandem_blobs", ["touched"])
    op.create_table(
        "tandem_files",
        sa.Column("tenant", sa.String(253), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger),
        sa.ForeignKeyConstraint(["tenant", "digest"], ["tandem_blobs.tenant", "tandem_blobs.digest"]),
    )
    op.create_index("tandem_files_by_digest", "tandem_files", ["tenant", "digest"])
    op.create_index("tandem_files_by_created", "tandem_files", ["created"])
    op.create_index("tandem_files_by_expires", "tandem_files", ["expires"])


def _uploads() -> None:
    op.create_table(
        "tandem_uploads",
        sa.Column("tenant", sa.String(253), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("file_seconds", sa.BigInteger),
        sa.Column("file_id", sa.String(64)),
    )
    op.create_index("tandem_uploads_by_expires", "tandem_uploads", ["expires"])
    op.create_table(
        "tandem_upload_parts",
        sa.Column("tenant", sa.String(253), primary_key=True),
        sa.Column("upload_id", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "upload_id"], ["tandem_uploads.tenant", "tandem_uploads.id"], ondelete="CASCADE"
        ),
    )
    op.create_index("tandem_upload_parts_by_key", "tandem_upload_parts", ["key"], unique=True)
