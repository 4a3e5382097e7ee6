"""Who works on a folder: one process at a time, on any node that mounts the volume.

A lock is a file that its holder has created, NAME.lock.N, in which it counts on while it lives; flock is not to be
relied on over NFS. Whoever has seen the same count for a minute by a clock of its own takes over by creating N+1, which
only one can. A holder that was merely held up finds that file and stops. Were two to write all the same for some
seconds, files would be right or refused: they are verified before they get their names.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tandem_operator.model_store.errors import PassingError
from tandem_operator.model_store.place import LOCK

DEAD_AFTER: Final = 60.0
_LONG_DEAD: Final = 3600.0
"""Seconds after which nobody needs to watch a lock before it counts as dead: clocks do not differ by so much."""
_BEAT: Final = 5.0
_LOOK: Final = 1.0


class Lock:
    """The lock of one folder, held or not."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._seen: tuple[Path, bytes] | None = None
        self._seen_at = 0.0
        self._mine: Path | None = None
        self._owner = _owner()
        self._beats = 0

    def acquire(self) -> bool:
        """Return whether the lock is this process's now: free before, or its holder dead."""
        held = self._highest()
        if held is not None and not self._is_dead(held):
            return False
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        mine = self._folder.with_name(f"{self._folder.name}{LOCK}{_number(held) + 1 if held else 1}")
        try:
            with mine.open("x") as file:
                file.write(self._line())
        except FileExistsError:
            return False
        if self._highest() != mine:  # what was seen of the folder was old
            mine.unlink(missing_ok=True)
            return False
        self._mine = mine
        for older in self._files():
            if older != mine:
                older.unlink(missing_ok=True)
        return True

    def beat(self) -> bool:
        """Show that the holder lives, and return whether it still is the holder."""
        if self._mine is None or self._highest() != self._mine:
            return False
        self._beats += 1
        self._mine.write_text(self._line())
        return True

    def release(self) -> None:
        """Let the next one in."""
        if self._mine is not None:
            self._mine.unlink(missing_ok=True)
            self._mine = None

    def _line(self) -> str:
        return f"{self._owner}\n{self._beats}\n"

    def _is_dead(self, held: Path) -> bool:
        try:
            content = held.read_bytes()  # opening asks the server, which looking at times may not
            old = time.time() - held.stat().st_mtime > _LONG_DEAD
        except FileNotFoundError:
            return True
        if old or _is_gone(content.decode(errors="replace").partition("\n")[0]):
            return True
        if self._seen != (held, content):
            self._seen, self._seen_at = (held, content), self._clock()
        return self._clock() - self._seen_at > DEAD_AFTER

    def _highest(self) -> Path | None:
        return max(self._files(), key=_number, default=None)

    def _files(self) -> list[Path]:
        begin = f"{self._folder.name}{LOCK}"
        with suppress(FileNotFoundError):
            found = [path for path in self._folder.parent.iterdir() if path.name.startswith(begin)]
            return [path for path in found if path.name.removeprefix(begin).isdecimal()]
        return []


@contextmanager
def held(lock: Lock, stop: threading.Event, waits: Callable[[], None]) -> Iterator[None]:
    """Hold a lock, waited for as long as its holder lives; `waits` is called once if there is one.

    `stop` is set when another process has taken the lock over, and PassingError ends it then.
    """
    if not lock.acquire():
        waits()
        while not lock.acquire():
            stop.wait(_LOOK)
    ended, lost = threading.Event(), threading.Event()
    thread = threading.Thread(target=_beat, args=(lock, ended, lost, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        lock.release()
        if lost.is_set():
            raise PassingError("LockLost", "another process has taken over this model, as this one stood still")


def _beat(lock: Lock, ended: threading.Event, lost: threading.Event, stop: threading.Event) -> None:
    while not ended.wait(_BEAT):
        with suppress(OSError):  # a volume that is away for a moment; the next beat tells
            if not lock.beat():
                lost.set()
                stop.set()
                return


def _number(path: Path) -> int:
    return int(path.name.rpartition(".")[2])


def _owner() -> str:
    """Return a name of this process which tells, where process ids mean the same, whether it still runs."""
    return f"{socket.gethostname()} {_process_ids()} {os.getpid()}"


def _is_gone(owner: str) -> bool:
    """Return whether the owner was a process among ours that has ended; others are judged by their counting."""
    host, _, process = owner.rpartition(" ")
    if host != f"{socket.gethostname()} {_process_ids()}" or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _process_ids() -> str:
    return str(Path("/proc/self/ns/pid").readlink())
