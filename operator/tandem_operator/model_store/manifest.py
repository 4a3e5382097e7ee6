"""The manifest of a complete model."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

NAME: Final = ".tandem.json"


@dataclass(frozen=True)
class FileEntry:
    """A file of a complete model."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a folder holds, and of which commit."""

    source: str
    commit: str
    files: tuple[FileEntry, ...]
    when: str
    """When it became complete, in RFC 3339."""

    @property
    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(file.size for file in self.files)


def read(folder: Path) -> Manifest | None:
    """Return the manifest of a folder, None where there is none, or none that this program has written."""
    try:
        found = json.loads((folder / NAME).read_bytes())
        files = tuple(FileEntry(**file) for file in found.pop("files"))
        return Manifest(files=files, **found)
    except (FileNotFoundError, ValueError, AttributeError, KeyError, TypeError):
        return None


def write(folder: Path, source: str, commit: str, files: tuple[FileEntry, ...]) -> Manifest:
    """Write the manifest of a folder whose files are all there, and return it."""
    manifest = Manifest(source, commit, files, datetime.now(UTC).isoformat(timespec="seconds"))
    document = {**vars(manifest), "files": [vars(file) for file in files]}
    write_atomically(folder / NAME, document)
    return manifest


def write_atomically(path: Path, document: Mapping[str, Any]) -> None:
    """Write JSON so that whoever reads it finds all of it or what was there before, even after a power cut."""
    fresh = path.with_name(f"{path.name}.{uuid4().hex[:8]}")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
