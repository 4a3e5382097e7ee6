"""A file, as its client sees it."""

from typing import Any, NamedTuple


class StoredFile(NamedTuple):
    """A file that is kept; times are milliseconds since 1970."""

    tenant: str
    id: str
    digest: str
    """SHA-256 of its bytes, in hexadecimal digits."""
    filename: str
    purpose: str
    bytes: int
    created: int
    expires: int | None
    key: str = ""
    """Where its bytes lie; not known of files in a list."""

    def document(self) -> dict[str, Any]:
        """Return OpenAI's object."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": self.created // 1000,
            "expires_at": None if self.expires is None else self.expires // 1000,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }
