"""The one folder in which everything that is downloaded, built or running lives.

Every path is keyed by version or by content, so an entry that exists is good and is never rewritten.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hack import progress
from hack.failure import Failure

TAG: Final = "CACHEDIR.TAG"
SIGNATURE: Final = (
    "Signature: 8a477f597d28d172789f06886806bc55\n# A cache of Tandem: safe to delete while no cluster is up.\n"
)


def root() -> Path:
    """Return `$TANDEM_CACHE`, else `$XDG_CACHE_HOME/tandem`, else `~/.cache/tandem`."""
    if chosen := os.environ.get("TANDEM_CACHE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "tandem"


def tool(name: str, version: str) -> Path:
    """Return the folder that holds the executables of one tool."""
    return root() / "tools" / f"{name}-{version}"


def go_modules() -> Path:
    """Return GOMODCACHE."""
    return root() / "go" / "mod"


def go_builds() -> Path:
    """Return GOCACHE."""
    return root() / "go" / "build"


def uv() -> Path:
    """Return UV_CACHE_DIR."""
    return root() / "uv"


def links() -> Path:
    """Return where the folders of links to programs of the operating system are."""
    return root() / "links"


def image(name: str, content: str) -> Path:
    """Return the docker-archive of an image, keyed by a hash of what it is built from."""
    return root() / "images" / f"{name}-{content}.tar"


def model(name: str, content: str) -> Path:
    """Return the folder of a model, keyed by a hash of what it is made of."""
    return root() / "models" / f"{name}-{content}"


def cluster() -> Path:
    """Return the folder with the state of the running cluster: kubeconfig, certificates, logs, data."""
    return root() / "cluster"


def part(name: str) -> Path:
    """Return the path of a part by its name, the whole cache by none: for scripts."""
    parts = {"": root, "cluster": cluster, "go-builds": go_builds, "go-modules": go_modules, "uv": uv}
    if name not in parts:
        raise Failure(f"the cache has no part {name!r}. It has: {', '.join(filter(None, parts))}")
    return parts[name]()


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
    (root() / TAG).write_text(SIGNATURE)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step(f"waiting for another run that is busy with {name}"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def clear() -> None:
    """Delete the whole cache. Failure where the folder is not one that was made as a cache."""
    if not root().exists():
        return
    if not (root() / TAG).exists():
        raise Failure(f"{root()} has no {TAG}, so it may be more than a cache: delete it by hand")
    remove(root())


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
