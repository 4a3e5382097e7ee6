"""Logs on standard output, the standard library's loggers included: JSON, one object a line, or text for people.

Request lines gather for a moment and are written together, since a system call for each cost a third of what the
whole record costs; every other line is written at once, after those that wait.
"""

import asyncio
import atexit
import logging
import os
import select
from collections.abc import MutableMapping
from contextlib import suppress
from threading import Lock
from typing import Any, Final

import orjson
import structlog
from tandem_contract.config import LogFormat

GATHER_SECONDS: Final = 0.1
ATOMIC: Final = 4096  # bytes that a pipe takes in one piece, so that lines of several workers do not mix
STANDARD_OUTPUT: Final = 1
CHATTY: Final = ("httpx2", "mcp")  # they tell of each connection, and the ids of its sessions

_threshold = logging.CRITICAL  # until `configure` opens the log
_text: structlog.dev.ConsoleRenderer | None = None


class Lines:
    """A file for whole lines; what was written waits for `flush`, for enough company, or for `GATHER_SECONDS`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._lock = Lock()  # libraries log from threads of their own

    def write(self, line: bytes) -> None:
        """Take one line with its end."""
        with self._lock:
            if self._size + len(line) > ATOMIC:
                self._flush()
            self._waiting.append(line)
            self._size += len(line)

    def flush_soon(self) -> None:
        """Have the lines written in a moment; to be called in a running loop."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._flush_now)

    def flush(self) -> None:
        """Write what waits. Where nobody reads any more, lines are lost: that could be logged nowhere."""
        with self._lock, suppress(OSError):
            self._flush()

    def _flush_now(self) -> None:
        self._timer = None
        self.flush()

    def _flush(self) -> None:
        data, self._waiting, self._size = b"".join(self._waiting), [], 0
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])


class _ToLines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        lines.write(self.format(record).encode() + b"\n")
        lines.flush()


lines = Lines(STANDARD_OUTPUT)
atexit.register(lines.flush)


def configure(level: str, layout: LogFormat = LogFormat.JSON) -> None:
    """Send everything at `level` or above to standard output; may be called again to change level and layout."""
    global _threshold, _text  # noqa: PLW0603 # a process has one log
    _threshold = logging.getLevelNamesMapping()[level]
    _text = _for_people() if layout is LogFormat.TEXT else None
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, lambda _, __, fields: _line(fields)],
        wrapper_class=structlog.make_filtering_bound_logger(_threshold),
        logger_factory=structlog.BytesLoggerFactory(lines),  # type: ignore[arg-type] # it writes and flushes, no more
        cache_logger_on_first_use=False,  # or a reload could not change the level
    )
    handler = _ToLines()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(allow=[])],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                lambda _, __, fields: _line(fields).decode(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(_threshold, logging.WARNING))


def enabled(level: int) -> bool:
    """Return whether lines of this level are written."""
    return level >= _threshold


def write_request(fields: dict[str, Any]) -> None:
    """Log the end of a request: the one line that a request costs, past structlog's processors."""
    if _text is None:
        lines.write(orjson.dumps(fields, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z))
    else:
        lines.write(_line({**fields, "time": f"{fields['time']:%Y-%m-%dT%H:%M:%S.%fZ}"}) + b"\n")
    lines.flush_soon()


def _line(fields: MutableMapping[str, Any]) -> bytes:
    if _text is None:
        return orjson.dumps(fields, default=str)
    return str(_text(None, "", {**fields, "event": _printable(str(fields["event"]))})).encode(errors="replace")


def _for_people() -> structlog.dev.ConsoleRenderer:
    """Return what makes a line of text of fields. It quotes values, so that none of them ends a line or colours it."""
    return structlog.dev.ConsoleRenderer(
        colors=os.isatty(STANDARD_OUTPUT),
        repr_native_str=True,
        sort_keys=False,
        timestamp_key="time",
    )


def _printable(text: str) -> str:
    """Return what libraries say, in one line and without a terminal's commands."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
