"""The hash that names an image: the same hash, the same content."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from hack.failure import Failure

LENGTH: Final = 12


def digest(root: Path, paths: Iterable[str], settings: Mapping[str, object]) -> str:
    """Return a hash of names and contents of those files, of all files in those folders, and of `settings`.

    Failure where one is missing.
    """
    total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in paths:
        for file in files(root / path):
            content = file.read_bytes()
            total.update(f"\n{file.relative_to(root)} {len(content)}\n".encode())
            total.update(content)
    return total.hexdigest()[:LENGTH]


def files(path: Path) -> Iterator[Path]:
    """Yield the file, or the files below the folder in a fixed order, without what .dockerignore leaves out too."""
    if not path.exists():
        raise Failure(f"{path} is missing, and an image is built from it")
    if path.is_file():
        yield path
        return
    for child in sorted(path.iterdir()):
        if not child.name.startswith(".") and child.name != "__pycache__":
            yield from files(child)
