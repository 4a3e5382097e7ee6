"""Progress lines with elapsed times, on standard error: standard output belongs to a command's result."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

BEAT_SECONDS: Final = 10.0

_started = time.monotonic()


def say(text: str) -> None:
    """Print one line: `[  12.3s] text`."""
    print(f"[{time.monotonic() - _started:6.1f}s] {text}", file=sys.stderr, flush=True)


@dataclass
class Step:
    """A step under way. `detail` is shown while it lasts, `result` at its end."""

    detail: str = ""
    result: str = "done"


@contextmanager
def step(text: str) -> Iterator[Step]:
    """Say that a step begins, that it goes on (every ten seconds), and how it ended and after how long."""
    current, begun, over = Step(), time.monotonic(), threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            say(f"{text} … {current.detail or 'still at it'} ({time.monotonic() - begun:.0f} s)")

    say(f"{text} …")
    beats = threading.Thread(target=beat, daemon=True)
    beats.start()
    try:
        yield current
    except BaseException:
        current.result = "FAILED"
        raise
    finally:
        over.set()
        beats.join()
        say(f"{text} … {current.result} ({time.monotonic() - begun:.1f} s)")
