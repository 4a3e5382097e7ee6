"""What is there of a model that is not complete."""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tandem_operator.model_store import manifest
from tandem_operator.model_store.hub import RemoteFile
from tandem_operator.model_store.manifest import FileEntry, Manifest

FOLDER: Final = ".tandem-unfinished"
_RECORD: Final = "verified.json"


@dataclass(frozen=True)
class _Verified:
    """That a file's bytes were right, and what it looked like then."""

    digest: str
    sha256: str
    size: int
    changed: int
    """Nanoseconds, so that a file which was replaced since is verified again."""


class Unfinished:
    """The folder of a model while it fills; its methods may be called by several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._work = folder / FOLDER
        self._work.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._verified = _read(self._work / _RECORD)

    def part(self, file: RemoteFile) -> Path:
        """Return where bytes of a file gather; they serve any commit that has the same file."""
        return self._work / f"{file.digest}-{hashlib.sha256(file.path.encode()).hexdigest()[:8]}"

    def present(self, file: RemoteFile) -> int:
        """Return how many bytes of a file are there."""
        return file.size if self.has(file) else min(size(self.part(file)), file.size)

    def has(self, file: RemoteFile) -> bool:
        """Return whether a file is there, verified, and has not been touched since."""
        found = self._verified.get(file.path)
        return found is not None and found.digest == file.digest and _untouched(self._folder / file.path, found)

    def keep(self, file: RemoteFile, sha256: str) -> None:
        """Give a file whose part was verified its name."""
        target, part = self._folder / file.path, self.part(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("rb") as written:
            os.fsync(written.fileno())
            changed = os.fstat(written.fileno()).st_mtime_ns
        # first, as a process that ends in between finds the part again; a file without its record is fetched anew
        self._record(file.path, _Verified(file.digest, sha256, file.size, changed))
        part.replace(target)

    def remove_others(self, files: Iterable[RemoteFile]) -> None:
        """Remove what a commit does not have: the files and parts of another one, when a branch has moved."""
        wanted = [*files]
        named = {self._folder / file.path for file in wanted} | {self.part(file) for file in wanted}
        named.add(self._work / _RECORD)
        for path in [path for path in self._folder.rglob("*") if path.is_file() or path.is_symlink()]:
            if path not in named:
                path.unlink()

    def complete(self, source: str, commit: str, files: Iterable[RemoteFile]) -> Manifest:
        """Write the manifest of a folder that has all these files verified, and forget how it came about."""
        entries = tuple(FileEntry(file.path, file.size, self._verified[file.path].sha256) for file in files)
        written = manifest.write(self._folder, source, commit, entries)
        shutil.rmtree(self._work)
        return written

    def reopen(self, files: Iterable[FileEntry]) -> None:
        """Make a complete model, of which these files alone are right, one that is not."""
        for file in files:
            changed = (self._folder / file.path).stat().st_mtime_ns
            self._record(file.path, _Verified(file.sha256, file.sha256, file.size, changed))
        (self._folder / manifest.NAME).unlink()

    def _record(self, path: str, verified: _Verified) -> None:
        with self._lock:
            self._verified[path] = verified
            manifest.write_atomically(self._work / _RECORD, {key: asdict(each) for key, each in self._verified.items()})


def size(path: Path) -> int:
    """Return a file's bytes, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def _read(path: Path) -> dict[str, _Verified]:
    try:
        return {key: _Verified(**each) for key, each in json.loads(path.read_bytes()).items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}


def _untouched(path: Path, verified: _Verified) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns) == (verified.size, verified.changed)
