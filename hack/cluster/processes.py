"""Processes that go on running after the command that started them, known by what is recorded about them."""

import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from hack.command import tail
from hack.failure import Failure

POLL_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Record:
    """`born` (clock ticks after the machine's start) tells the process from a later one with the same number."""

    pid: int
    born: int
    argv: list[str]
    environment: dict[str, str]

    def alive(self) -> bool:
        """Return whether this very process runs."""
        return _birth(self.pid) == self.born


class Processes:
    """The processes whose records and logs are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.records = folder / "processes"
        self.logs = folder / "logs"

    def start(
        self,
        name: str,
        program: Path,
        options: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        files: Mapping[Path, str] | None = None,
    ) -> None:
        """Start `program` in a session of its own; nothing happens where it runs already.

        `environment` is added to this process's own, `files` (path -> text) are written first. Where any of that, or
        an option, is other than it was, the process is started anew.
        """
        command, added, changed = [str(program), *options], dict(environment or {}), _differing(files or {})
        record = self.record(name)
        if record and record.alive():
            if not changed and (record.argv, record.environment) == (command, added):
                return
            self.stop(name)
        for path, text in changed.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self._launch(name, command, added)

    def revive(self, name: str) -> None:
        """Start a process that was started before and is not running, as it was."""
        record = self.record(name)
        if record and not record.alive():
            self._launch(name, record.argv, record.environment)

    def _launch(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.records.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:  # a process that runs without a record could never be stopped
            pid = _spawn(command, {**os.environ, **environment}, self.log(name))
            record = Record(pid, _birth(pid) or 0, command, environment)
            self._file(name).write_text(json.dumps(asdict(record)))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)

    def wait(self, name: str, ready: Callable[[], bool], seconds: float, *, until: str) -> None:
        """Return once `ready()`. Failure, with the end of its log, where the process ends first or time runs out."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running(name):
                raise Failure(f"{name} ended before it was {until}.\n{self._evidence(name)}")
            if time.monotonic() > deadline:
                raise Failure(f"{name} was not {until} within {seconds:.0f} s.\n{self._evidence(name)}")
            time.sleep(POLL_SECONDS)

    def stop(self, name: str, seconds: float = 20.0) -> None:
        """End a process: SIGTERM, and SIGKILL where that does not end it within `seconds`."""
        record = self.record(name)
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + seconds
            if record and record.alive():
                with suppress(ProcessLookupError):  # it may have just ended
                    os.kill(record.pid, number)
                while record.alive() and time.monotonic() < deadline:
                    time.sleep(POLL_SECONDS)
        if record and record.alive():
            raise Failure(f"{name} (process {record.pid}) does not end, not even by SIGKILL")
        self._file(name).unlink(missing_ok=True)

    def running(self, name: str) -> bool:
        """Return whether a process of that name was started and still runs."""
        record = self.record(name)
        return record is not None and record.alive()

    def record(self, name: str) -> Record | None:
        """Return what was written down when a process was started; None where it was not, or was stopped since."""
        try:
            return Record(**json.loads(self._file(name).read_text()))
        except FileNotFoundError:
            return None

    def names(self) -> list[str]:
        """Return the processes that were started and not yet stopped, whether they run or not."""
        return sorted(path.stem for path in self.records.glob("*.json"))

    def _evidence(self, name: str) -> str:
        log = self.log(name)
        return f"The end of {log}:\n{tail(log.read_text(errors='replace'))}"

    def _file(self, name: str) -> Path:
        return self.records / f"{name}.json"

    def log(self, name: str) -> Path:
        """Return the file with everything that a process has printed."""
        return self.logs / f"{name}.log"


def _differing(files: Mapping[Path, str]) -> dict[Path, str]:
    """Return those files that do not have the text that they are to have."""
    return {path: text for path, text in files.items() if not path.exists() or path.read_text() != text}


def _spawn(command: list[str], environment: Mapping[str, str], log: Path) -> int:
    """Start a program in a new session with its output appended to `log`; its process number."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    defaults = [signal.SIGINT, signal.SIGTERM]
    return os.posix_spawn(
        command[0], command, environment, file_actions=actions, setsid=True, setsigmask=[], setsigdef=defaults
    )


def _birth(pid: int) -> int | None:
    """Return when a process was born, in clock ticks after the machine's start; None where it is gone or unreaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in "ZX":
        with suppress(ChildProcessError):  # it may be somebody else's child
            os.waitpid(pid, os.WNOHANG)
        return None
    return int(fields[19])
