"""Takes from the worker what it does not need to read one file."""

import ctypes
import math
import os
import resource
import signal
from pathlib import Path
from typing import Final

from tandem_orchestrator.retrieval.parsing import seccomp
from tandem_orchestrator.retrieval.parsing.limits import ParseLimits

PR_SET_PDEATHSIG: Final = 1
NICENESS: Final = 10
MOST_DESCRIPTORS: Final = 16
STOP_GRACE: Final = 5  # seconds of computing between SIGXCPU and SIGKILL


def depend_on(parent: int) -> None:
    """End with the parent process; yield the processor to it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before
        os.kill(os.getpid(), signal.SIGKILL)
    os.nice(NICENESS)


def bound(limits: ParseLimits) -> None:
    """Bound what can be used up, before the file is looked into."""
    seconds = math.ceil(limits.seconds)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + STOP_GRACE))
    bound_memory(limits.memory_bytes)


def bound_memory(beside: int) -> None:
    """Bound the memory to so many bytes beside what is taken now."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    wanted = pages * resource.getpagesize() + beside
    resource.setrlimit(resource.RLIMIT_AS, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))


def confine(limits: ParseLimits) -> None:
    """Give up all else, once everything is imported; what the libraries take is not the file's."""
    bound_memory(limits.memory_bytes)
    resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_DESCRIPTORS, MOST_DESCRIPTORS))
    seccomp.refuse_calls()


def problems() -> list[str]:
    """Return a line where files are read with less protection than elsewhere."""
    if seccomp.available():
        return []
    return [
        "files are read by processes that may open others and sockets: this kernel or processor has no seccomp filter"
    ]
