"""The one folder in which everything that is downloaded, built or running lives.

Every path is keyed by version or by content, so an entry that exists is good and is never rewritten.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hack import progress


def root() -> Path:
    """`$TANDEM_CACHE`, else `$XDG_CACHE_HOME/tandem`, else `~/.cache/tandem`."""
    if chosen := os.environ.get("TANDEM_CACHE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "tandem"


def tool(name: str, version: str) -> Path:
    """The folder that holds the executables of one tool."""
    return root() / "tools" / f"{name}-{version}"


def go_modules() -> Path:
    """GOMODCACHE."""
    return root() / "go" / "mod"


def go_builds() -> Path:
    """GOCACHE."""
    return root() / "go" / "build"


def uv() -> Path:
    """UV_CACHE_DIR."""
    return root() / "uv"


def image(name: str, content: str) -> Path:
    """The docker-archive of an image, keyed by a hash of what it is built from."""
    return root() / "images" / f"{name}-{content}.tar"


def cluster() -> Path:
    """State of the running cluster: kubeconfig, certificates, logs, data."""
    return root() / "cluster"


def ensure(path: Path, build: Callable[[Path], None]) -> Path:
    """Return `path`; where it does not exist, have `build` write it (a file or a folder) first.

    `build` is given another path, which is renamed once it is finished: an interrupted build leaves nothing that
    could be taken for a finished one. A second process that wants the same path waits for the first.
    """
    if path.exists():
        return path
    with lock(f"{path.parent.name}-{path.name}"):
        if not path.exists():
            unfinished = path.with_name(f".{path.name}.unfinished")
            remove(unfinished)
            unfinished.parent.mkdir(parents=True, exist_ok=True)
            build(unfinished)
            unfinished.rename(path)
    return path


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold the lock `name` against every other process that uses this cache."""
    path = root() / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step(f"waiting for another run that is busy with {name}"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
