import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster.processes import Processes, Record
from hack.failure import Failure

SLEEP = Path("/bin/sleep")
SHELL = Path("/bin/sh")


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    started = Processes(tmp_path)
    yield started
    for name in started.names():
        started.stop(name, seconds=5)


def record(processes: Processes, name: str) -> Record:
    found = processes.record(name)
    assert found
    return found


def pid(processes: Processes, name: str) -> int:
    return record(processes, name).pid


def test_a_process_has_its_own_session_and_its_record_and_ends(processes: Processes) -> None:
    processes.start("sleep", SLEEP, ["600"])
    assert processes.running("sleep")
    assert os.getsid(pid(processes, "sleep")) == pid(processes, "sleep")
    processes.stop("sleep")
    assert not processes.running("sleep")
    assert processes.names() == []


def test_starting_twice_starts_once(processes: Processes) -> None:
    processes.start("sleep", SLEEP, ["600"])
    first = pid(processes, "sleep")
    processes.start("sleep", SLEEP, ["600"])
    assert pid(processes, "sleep") == first


def test_other_options_or_files_start_it_anew(processes: Processes, tmp_path: Path) -> None:
    file = tmp_path / "etc" / "settings"
    processes.start("sleep", SLEEP, ["600"], files={file: "a"})
    assert file.read_text() == "a"
    seen = {pid(processes, "sleep")}
    for options, text in ((["601"], "a"), (["601"], "b")):
        processes.start("sleep", SLEEP, options, files={file: text})
        assert file.read_text() == text
        seen.add(pid(processes, "sleep"))
    assert len(seen) == 3


def test_files_of_a_running_process_are_not_touched(processes: Processes, tmp_path: Path) -> None:
    file = tmp_path / "settings"
    processes.start("sleep", SLEEP, ["600"], files={file: "a"})
    before = file.stat().st_mtime_ns
    processes.start("sleep", SLEEP, ["600"], files={file: "a"})
    assert file.stat().st_mtime_ns == before


def test_a_later_process_with_the_same_number_is_not_killed(processes: Processes) -> None:
    processes.start("sleep", SLEEP, ["600"])
    number = pid(processes, "sleep")
    file = next(processes.records.iterdir())
    recorded = json.loads(file.read_text())
    file.write_text(json.dumps({**recorded, "born": recorded["born"] - 1}))
    assert not processes.running("sleep")
    processes.stop("sleep")
    os.kill(number, 0)
    file.write_text(json.dumps(recorded))


def test_a_process_that_ignores_the_request_is_killed(processes: Processes, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    processes.start("stubborn", SHELL, ["-c", f"trap '' TERM; touch {ready}; while :; do sleep 1; done"])
    processes.wait("stubborn", ready.exists, 10, until="deaf")
    begun = time.monotonic()
    processes.stop("stubborn", seconds=0.3)
    assert time.monotonic() - begun >= 0.3
    assert not processes.running("stubborn")


def test_a_process_that_ends_too_early_is_shown_with_its_last_words(processes: Processes) -> None:
    processes.start("fragile", SHELL, ["-c", "echo no such file; exit 1"])
    with pytest.raises(Failure, match=r"fragile ended before it was ready(.|\n)*\| no such file"):
        processes.wait("fragile", lambda: False, 10, until="ready")


def test_a_process_that_is_never_ready_is_shown_with_its_last_words(processes: Processes) -> None:
    processes.start("slow", SHELL, ["-c", "echo still thinking; sleep 600"])
    processes.wait("slow", lambda: "thinking" in processes.log("slow").read_text(), 10, until="talking")
    with pytest.raises(Failure, match=r"slow was not ready within 0 s(.|\n)*\| still thinking"):
        processes.wait("slow", lambda: False, 0.2, until="ready")


def test_a_process_that_died_is_revived_as_it_was(processes: Processes) -> None:
    processes.start("sleep", SLEEP, ["600"], environment={"COLOUR": "red"})
    first = record(processes, "sleep")
    os.kill(first.pid, signal.SIGKILL)
    while processes.running("sleep"):
        pass
    processes.revive("sleep")
    revived = record(processes, "sleep")
    assert processes.running("sleep")
    assert (revived.argv, revived.environment) == (first.argv, first.environment)
    processes.revive("never-started")
    assert not processes.running("never-started")


def test_an_interrupt_in_the_shell_does_not_reach_it(processes: Processes, tmp_path: Path) -> None:
    """Signals that the starting process blocks or ignores have their usual meaning in the started one."""
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        processes.start("sleep", SLEEP, ["600"])
    finally:
        signal.signal(signal.SIGINT, ignored)
    status = Path(f"/proc/{pid(processes, 'sleep')}/status").read_text()
    masks = {
        line.split()[0]: int(line.split()[1], 16)
        for line in status.splitlines()
        if line.startswith("Sig") and line.split()[0] in ("SigBlk:", "SigIgn:")
    }
    assert not masks["SigBlk:"]
    assert not masks["SigIgn:"] & 1 << (signal.SIGINT - 1)
