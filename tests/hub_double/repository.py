"""What a repository holds, as the hub tells of it."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

LFS_FROM = 65_536
"""Bytes from which on a file is in LFS; the hub decides by .gitattributes."""


@dataclass(frozen=True)
class Commit:
    """Files by path; the id follows from them."""

    files: dict[str, bytes]
    claimed: dict[str, int] = field(default_factory=dict)
    """Sizes that are told instead of the real ones."""

    @property
    def id(self) -> str:
        parts = (f"{path} {blob_id(content)}\n" for path, content in sorted(self.files.items()))
        return hashlib.sha1("".join(parts).encode()).hexdigest()

    def info(self, repository: str) -> dict[str, Any]:
        """The answer of /api/models/REPOSITORY/revision/REVISION?blobs=true."""
        siblings = [self._sibling(path, content) for path, content in self.files.items()]
        return {"_id": "1", "id": repository, "sha": self.id, "private": False, "tags": [], "siblings": siblings}

    def _sibling(self, path: str, content: bytes) -> dict[str, Any]:
        size = self.claimed.get(path, len(content))
        told: dict[str, Any] = {"rfilename": path, "size": size, "blobId": blob_id(content)}
        if is_large(content):
            told["lfs"] = {"sha256": sha256(content), "size": size, "pointerSize": 130}
        return told


def is_large(content: bytes) -> bool:
    return len(content) >= LFS_FROM


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()
