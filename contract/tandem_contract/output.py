"""Standard output of the command lines."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ends_with_its_reader() -> Iterator[None]:
    """End the process by SIGPIPE, without a word, when what reads its output has gone, as `head` does.

    Python ignores that signal, which would kill a server when a client goes, and raises BrokenPipeError instead.
    """
    try:
        try:
            yield
        finally:
            print(end="", flush=True)  # noqa: T201 # not at exit, where nothing can be caught
    except BrokenPipeError:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.raise_signal(signal.SIGPIPE)
