"""What a worker may not do, tried in a process that has given it up."""

import os
import select
import signal
import subprocess
import sys

import pytest
from tandem_orchestrator.retrieval.parsing import problems

GIVEN_UP = """
import ctypes, os, resource, signal, socket, subprocess, sys, threading
from tandem_orchestrator.retrieval.parsing import ParseLimits, sandbox
limits = ParseLimits(memory_bytes=64 << 20, seconds=20, pages=1, unpacked_bytes=1)
sandbox.bound(limits)
sandbox.confine(limits)
"""
LIBC = "libc = ctypes.CDLL(None, use_errno=True)\n"


def run(code, given_up=GIVEN_UP):
    command = [sys.executable, "-c", given_up + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "code",
    [
        "socket.socket()",
        "socket.socketpair()",
        "os.fork()",
        "subprocess.run(['true'])",
        "os.execv('/bin/true', ['true'])",
        "open('/etc/passwd')",
        "open('/tmp/written', 'w')",
        "os.unlink('/tmp/nothing')",
        "os.mkdir('/tmp/nothing')",
        "os.kill(os.getppid(), 0)",
        "os.fchmod(0, 0o777)",
        "os.memfd_create('x')",
        "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (9, 9))",
        "signal.pidfd_send_signal(0, 9)",
    ],
)
def test_not_permitted(code):
    ended = run(code)
    assert "PermissionError" in ended.stderr or "not allowed to raise" in ended.stderr


def test_what_is_left():
    code = """
thread = threading.Thread(target=print, args=["in a thread"])
thread.start()
thread.join()
print(resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CORE))
"""
    ended = run(code)
    assert (ended.returncode, ended.stdout) == (0, "in a thread\n(16, 16) (0, 0)\n")


def test_a_process_may_abort():
    assert run("os.abort()").returncode == -signal.SIGABRT


def test_clone3_and_ptrace():
    code = LIBC + "print(libc.syscall(435, 0, 0), ctypes.get_errno(), libc.ptrace(0, 0, 0, 0), ctypes.get_errno())"
    assert run(code).stdout.split() == ["-1", "38", "-1", "1"]


def test_memory_is_bounded():
    assert "MemoryError" in run("bytearray(80 << 20)").stderr
    assert run("bytearray(40 << 20)").returncode == 0


def test_time_is_bounded():
    ended = run("while True: pass", GIVEN_UP.replace("seconds=20", "seconds=1"))
    assert ended.returncode == -signal.SIGXCPU


def test_nothing_is_written():
    code = "import tempfile; t = tempfile.TemporaryFile()\n" + GIVEN_UP + "t.write(b'x'); t.flush()"
    assert "File too large" in run(code, "").stderr


def test_a_worker_ends_with_its_parent():
    child = (
        "import os; from tandem_orchestrator.retrieval.parsing import sandbox\n"
        "sandbox.depend_on(os.getppid()); print(os.getpid(), flush=True)\nwhile True: pass"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        worker = os.pidfd_open(int(process.stdout.readline()))
        try:
            process.kill()
            readable, _, _ = select.select([worker], [], [], 30)  # when it has ended
        finally:
            os.close(worker)
    assert readable


def test_a_worker_whose_parent_is_gone_does_not_begin():
    code = "from tandem_orchestrator.retrieval.parsing import sandbox; sandbox.depend_on(1); print('begun')"
    ended = run(code, "")
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "")


def test_it_is_said_where_there_is_less():
    assert problems() == []
