"""A model, from the hub into a store, once."""

import errno
import logging
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tandem_operator.model_store import digests, manifest
from tandem_operator.model_store.errors import FetchError, PermanentError, StoppedError
from tandem_operator.model_store.eviction import make_room
from tandem_operator.model_store.hub import Commit, Hub, RemoteFile
from tandem_operator.model_store.lock import Lock, held
from tandem_operator.model_store.manifest import FileEntry, Manifest
from tandem_operator.model_store.patience import Patience
from tandem_operator.model_store.place import Wish
from tandem_operator.model_store.progress import Progress, State
from tandem_operator.model_store.selection import chosen
from tandem_operator.model_store.transfer import Transfer
from tandem_operator.model_store.unfinished import Unfinished

logger = logging.getLogger(__name__)

_AT_ONCE: Final = 4
"""Files that come at the same time."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_CLOSED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def fetch(wish: Wish, progress: Progress, patience: float) -> Manifest:
    """Return the manifest of a model that is complete now; FetchError says why it is not.

    `patience` are the seconds without a byte after which it gives up. A model that is there costs no request.
    """
    stop = threading.Event()
    with _told(wish.store):
        found = manifest.read(wish.folder)
        if found is None or wish.verify:
            with held(Lock(wish.folder), stop, lambda: _tell_of_other(progress)):
                found = _completed(wish, progress, Patience(patience, progress, stop), stop)
        with suppress(OSError):  # a claim may be read-only once all is there
            os.utime(wish.folder / manifest.NAME)  # when it was last asked for
    return found


def _completed(wish: Wish, progress: Progress, patience: Patience, stop: threading.Event) -> Manifest:
    found, revision = manifest.read(wish.folder), wish.source.revision
    if found is not None:
        right = _right(wish.folder, found, progress) if wish.verify else found.files
        if right == found.files:
            return found
        bad = [file.path for file in found.files if file not in right]
        logger.warning("%s changed since it was fetched, and is fetched again", ", ".join(bad))
        Unfinished(wish.folder).reopen(right)
        revision = found.commit
    hub = Hub(wish.source)
    commit = patience.persist(lambda: hub.commit(revision))
    files = _selected(commit, wish)
    unfinished = Unfinished(wish.folder)
    unfinished.remove_others(files)
    present, total = sum(map(unfinished.present, files)), sum(file.size for file in files)
    _see_to_room(wish, total - present)
    progress.enter(State.FETCHING, f"commit {commit.id}", done=present, total=total)
    transfer = Transfer(hub, commit.id, unfinished, patience, progress, stop)
    _all(transfer, [file for file in files if not unfinished.has(file)])
    if stop.is_set():
        raise StoppedError
    return unfinished.complete(wish.uri, commit.id, files)


def _selected(commit: Commit, wish: Wish) -> list[RemoteFile]:
    names = {*chosen((file.path for file in commit.files), wish.selection)}
    if missing := sorted({*wish.selection.files} - names):
        raise PermanentError("NotFound", f"{wish.uri} has no file {', '.join(missing)} (commit {commit.id})")
    if not names:
        raise PermanentError("NotFound", f"{wish.uri} has no file that an engine loads (commit {commit.id})")
    return sorted((file for file in commit.files if file.path in names), key=lambda file: file.path)


def _see_to_room(wish: Wish, missing: int) -> None:
    free = shutil.disk_usage(wish.store).free
    if missing > free and wish.kept is not None:
        free += make_room(wish.store, [*wish.kept, wish.source], missing - free)
    if missing > free:
        remedy = ", or set model.cache.eviction to WhenFull" if wish.kept is None else "; all other models are wanted"
        raise PermanentError(
            "NoRoom",
            f"the model needs {missing:,} bytes more and the volume has {free:,} free: enlarge its claim{remedy}",
        )


def _all(transfer: Transfer, files: Sequence[RemoteFile]) -> None:
    """Fetch files, several at once; the first error stops the others."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            futures: list[Future[None]] = [pool.submit(transfer.fetch, file) for file in files]
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
        except BaseException:
            transfer.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _right(place: Path, found: Manifest, progress: Progress) -> tuple[FileEntry, ...]:
    """Return those files of a complete model whose bytes are still what they were."""
    progress.enter(State.VERIFYING, total=found.size)
    return tuple(file for file in found.files if _is_right(place / file.path, file, progress))


def _is_right(path: Path, file: FileEntry, progress: Progress) -> bool:
    return path.is_file() and digests.of(path, progress.verified).sha256 == file.sha256


def _tell_of_other(progress: Progress) -> None:
    message = "another process fetches this model; it is waited for"
    logger.info(message)
    progress.enter(State.WAITING, message)


@contextmanager
def _told(store: Path) -> Iterator[None]:
    """Turn what a volume may refuse into errors that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise PermanentError("NoRoom", f"{store} is full: enlarge its claim ({error.strerror})") from error
        if error.errno in _CLOSED:
            do = "mount its claim writable, with an fsGroup that may write"
            raise PermanentError("NotWritable", f"{error.filename or store}: {error.strerror}: {do}") from error
        raise FetchError("Volume", f"{error.filename or store}: {error.strerror or error}") from error
