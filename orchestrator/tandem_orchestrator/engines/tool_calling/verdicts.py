"""What is known of replicas, shared by the worker processes of a server: one asks for all of them."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

NOT_VERIFIED: Final = "NotVerified"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of one replica."""

    verified: bool | None
    """None while nothing is known."""
    reason: str
    message: str
    settled: bool = False
    """Whether it stays so until the replica starts anew."""


@dataclass(frozen=True, slots=True)
class Known:
    """A verdict, and when another one may be looked for; times are of the monotonic clock, which processes share."""

    verdict: Verdict
    began: float
    """When the replica was asked."""
    again_at: float
    failures: int = 0
    """How often in a row there was no settled verdict."""


class Verdicts:
    """Verdicts by replica, in memory or, if there is a `folder` for what workers share, in a file there."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known: dict[str, Known] = {}

    @property
    def known(self) -> Mapping[str, Known]:
        """All of them, by names of replicas."""
        if self._folder is not None:
            with suppress(FileNotFoundError):  # nothing is known yet
                read = orjson.loads(self._file.read_bytes())
                self._known = {replica: _known(said) for replica, said in read.items()}
        return self._known

    def keep(self, known: Mapping[str, Known]) -> None:
        """Make these all that is known."""
        self._known = {**known}
        if self._folder is not None:
            new = self._file.with_suffix(".new")
            new.write_bytes(orjson.dumps(self._known))
            new.replace(self._file)

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Have the turn to ask replicas, unless another worker has it: false then. It ends with the block."""
        if self._folder is None:
            yield True
            return
        with self._file.with_suffix(".lock").open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    @property
    def _file(self) -> Path:
        assert self._folder is not None  # noqa: S101 # only asked for where there is one
        return self._folder / "tool-calling.json"


def _known(said: dict[str, Any]) -> Known:
    return Known(**{**said, "verdict": Verdict(**said["verdict"])})
