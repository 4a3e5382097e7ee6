"""The processes under measurement: started on a core of their own, watched through /proc, ended by their number."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.load import Address, Failed, ask, get

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = os.sysconf("SC_PAGE_SIZE")
START_SECONDS: Final = 30.0
END_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Cores:
    """Which core runs what.

    The target has one core to itself, as one worker would. Engine and load generator share another (or have one each
    where there are three): whatever they do there takes nothing from the target, and is the same for every target.
    """

    target: int
    engine: int
    load: int

    @classmethod
    def of_this_machine(cls) -> "Cores":
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise Failed("the bench needs two cores: one for what is measured, one for the engine and the load")
        return cls(target=cores[-1], engine=cores[-2], load=cores[0])


@dataclass(frozen=True)
class Process:
    """A running server and the processes below it."""

    name: str
    pid: int
    address: Address

    def cpu_seconds(self) -> float:
        """Return the CPU time that it has used so far, in user and kernel mode.

        /proc/PID/stat tells it in hundredths of a second, too coarse for a second of nginx; this in nanoseconds.
        """
        return sum(time.clock_gettime(_cpu_clock(pid)) for pid in self._tree())

    def resident_bytes(self) -> int:
        """Return its memory now."""
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._tree()) * PAGE

    def own_bytes(self) -> int:
        """Return its memory now, but for files; what its processes share counts once."""
        files = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self._tree()]
        return (
            sum(int(line.split()[1]) for text in files for line in text.splitlines() if line.startswith("Pss_Anon:"))
            * 1024
        )

    def _tree(self) -> list[int]:
        parents = {pid: int(stat[1]) for pid in _all_pids() if (stat := _stat(pid))}
        found = [self.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found


@contextmanager
def running(name: str, command: Sequence[str], port: int, core: int | str, folder: Path) -> Iterator[Process]:
    """Return a server on `core`, which is ended at the end, whatever happens. `folder` gets its output as NAME.log."""
    with _log(folder, name).open("ab") as output:
        popen = subprocess.Popen(
            ["taskset", "--cpu-list", str(core), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"]},  # TANDEM_… and the like stay out
            cwd=ROOT,
            start_new_session=True,  # or Ctrl-C would reach it before its requests are over
        )
    try:
        yield Process(name, popen.pid, Address("127.0.0.1", port))
    finally:
        _end(popen)


def _end(leader: subprocess.Popen[bytes]) -> None:
    """End the session of a process, which it leads: itself and whatever it started."""
    with suppress(ProcessLookupError):
        for number in (signal.SIGTERM, signal.SIGKILL):
            os.killpg(leader.pid, number)
            deadline = time.monotonic() + END_SECONDS
            while time.monotonic() < deadline:
                leader.poll()  # or it would stay, though only as a name
                os.killpg(leader.pid, 0)
                time.sleep(0.01)


async def until_ready(process: Process, path: str, folder: Path) -> None:
    """Wait until the server answers. Raises `Failed` with the end of its log."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            await ask(process.address, get(path))
        except Failed as error:
            if time.monotonic() > deadline or not _stat(process.pid):
                raise Failed(f"{process.name} did not start: {error}\n{_end_of_log(folder, process.name)}") from None
            await asyncio.sleep(0.05)
        else:
            return


def _log(folder: Path, name: str) -> Path:
    return folder / f"{name}.log"


def _end_of_log(folder: Path, name: str) -> str:
    return _log(folder, name).read_text(errors="replace")[-2000:]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _cpu_clock(pid: int) -> int:
    """Return what clock_getcpuclockid(3) returns on Linux."""
    return (~pid << 3) | 2


def _all_pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _stat(pid: int) -> list[str]:
    """Return fields of /proc/PID/stat from the third on; none when the process is gone or only unreaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [] if fields[0] in "ZX" else fields
