"""Bytes of a file, from the hub into the folder: resumed, verified, and fetched once more where they are wrong."""

import logging
import os
import threading
from dataclasses import dataclass

from tandem_operator.model_store import digests
from tandem_operator.model_store.errors import PassingError, PermanentError, StoppedError
from tandem_operator.model_store.hub import Hub, RemoteFile
from tandem_operator.model_store.patience import Patience
from tandem_operator.model_store.progress import Progress
from tandem_operator.model_store.unfinished import Unfinished, size

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Transfer:
    """How files of one commit come; each of them by a thread of its own."""

    hub: Hub
    commit: str
    unfinished: Unfinished
    patience: Patience
    progress: Progress
    stop: threading.Event

    def fetch(self, file: RemoteFile) -> None:
        """Make a file be there and right; PermanentError where its bytes are wrong twice."""
        if self._arrives(file):
            return
        logger.warning("%s came with wrong bytes and is fetched once more", file.path)
        if not self._arrives(file):
            raise PermanentError(
                "WrongBytes",
                f"{file.path} has other bytes than the hub's digest of it says, twice: look at the proxy or mirror "
                "between here and the hub",
            )

    def _arrives(self, file: RemoteFile) -> bool:
        part = self.unfinished.part(file)
        part.touch()
        while size(part) < file.size:
            self.patience.persist(lambda: self._append(file))
        found = digests.of(part, lambda _: self._heed_stop())
        if found.match(file.digest):
            self.unfinished.keep(file, found.sha256)
            return True
        self.progress.lost(file.size)
        part.unlink()
        return False

    def _append(self, file: RemoteFile) -> None:
        """Write what one answer brings; one that is cut ends well if it brought anything."""
        # at its own place and never appended, so that a process which lost its lock unawares writes the same once more
        with self.unfinished.part(file).open("r+b") as part:
            begin = position = part.seek(0, os.SEEK_END)
            try:
                for start, chunk in self.hub.read(self.commit, file, position):
                    self._heed_stop()
                    fresh = _fresh(file, start, chunk, position)
                    part.write(fresh)
                    position += len(fresh)
                    self.progress.received(len(chunk), len(fresh))
            except PassingError as error:
                if position == begin:
                    raise
                logger.info("%s: %s; it goes on at byte %s", file.path, error, f"{position:,}")
            else:
                if position == begin:
                    raise PassingError("HubAway", f"the hub sent nothing of {file.path}")

    def _heed_stop(self) -> None:
        if self.stop.is_set():
            raise StoppedError


def _fresh(file: RemoteFile, start: int, chunk: bytes, position: int) -> bytes:
    """Return those bytes of a chunk that come next; a server may begin before what it was asked for, never after."""
    if start > position:
        raise PassingError("HubAway", f"the hub left out bytes of {file.path}")
    return chunk[position - start : file.size - start]
