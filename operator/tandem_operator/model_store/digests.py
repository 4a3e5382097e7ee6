"""Digests of files, as the hub has them."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SHA256_DIGITS: Final = 64
_CHUNK: Final = 1 << 20


@dataclass(frozen=True)
class Digests:
    """What a file's bytes come to."""

    sha256: str
    blob: str
    """The id that Git would give them."""

    def match(self, digest: str) -> bool:
        """Return whether the hub's digest of a file is one of these, SHA-256 for LFS and a blob's id else."""
        return digest == (self.sha256 if len(digest) == _SHA256_DIGITS else self.blob)


def of(path: Path, read: Callable[[int], None]) -> Digests:
    """Return the digests of a file; `read` is told the bytes of each step, and may end it by an error."""
    sha256, blob = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)  # Git's
    with path.open("rb") as file:
        blob.update(f"blob {path.stat().st_size}\0".encode())
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
            blob.update(chunk)
            read(len(chunk))
    return Digests(sha256.hexdigest(), blob.hexdigest())
