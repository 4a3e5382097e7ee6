"""The folder for what several workers share: metrics and the counts of limits."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 # what is written there lies in a folder of mode 700
PREFIX: Final = "tandem-"
LOCK: Final = "lock"


@contextmanager
def shared_folder() -> Iterator[Path]:
    """Return a new folder, in memory where that is possible; it goes in the end, with those that killed services have
    left.

    A folder is locked as long as a process of its service lives, since workers inherit the lock.
    """
    above = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    for left in above.glob(f"{PREFIX}*"):
        with suppress(OSError), (left / LOCK).open("wb") as lock:  # another user's cannot be opened
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left)
    new = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=above))
    with (new / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = new.rename(above / new.name[1:])  # only now, that it is locked, does it bear the name of such folders
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
