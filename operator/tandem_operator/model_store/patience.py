"""Asking again, later and later, as long as it may help."""

import logging
import random
import threading
from collections.abc import Callable
from typing import Final

from tandem_operator.model_store.errors import PassingError, StoppedError
from tandem_operator.model_store.progress import Progress

logger = logging.getLogger(__name__)

_LONGEST: Final = 60.0
"""Seconds between two attempts where the hub does not ask for more."""


def pause(attempt: int, asked: float | None, chance: float) -> float:
    """Return the seconds to wait after an attempt (the first is 1); `chance` of 0 to 1 keeps many Jobs apart.

    What the hub asks for is the least, and all that do so come back within the second quarter of it.
    """
    if asked is not None:
        return asked * (1 + chance / 4)
    return min(_LONGEST, 2.0 ** min(attempt, 10)) * (1 + chance) / 2


class Patience:
    """How long to go on without a byte."""

    def __init__(self, seconds: float, progress: Progress, stop: threading.Event) -> None:
        self._seconds = seconds
        self._progress = progress
        self._stop = stop

    def persist[T](self, action: Callable[[], T]) -> T:
        """Return what an action returns once it succeeds; its last PassingError when that takes too long."""
        attempt = 0
        while True:
            try:
                return action()
            except PassingError as error:
                attempt += 1
                self._wait(error, pause(attempt, error.after, random.random()))  # noqa: S311 # no secret

    def _wait(self, error: PassingError, seconds: float) -> None:
        idle = self._progress.idle()
        if idle + seconds > self._seconds:
            given_up = f"{error}; given up after {idle:.0f} s without a byte (--patience {self._seconds:.0f})"
            raise PassingError(error.reason, given_up) from error
        logger.warning("%s; asked again in %.0f s", error, seconds)
        with self._progress.waiting(f"{error}; asked again in {seconds:.0f} s"):
            if self._stop.wait(seconds):
                raise StoppedError from error
