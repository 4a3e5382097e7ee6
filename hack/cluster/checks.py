"""What a machine must have before a long step begins. A check raises Failure with what is needed and what is there."""

import os
import platform
import shutil
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hack.failure import Failure

GIB: Final = 1024**3
CAP_SYS_RESOURCE: Final = 24


def linux_root(purpose: str) -> None:
    """Require Linux, and all rights on it."""
    if platform.system() != "Linux":
        raise Failure(f"{purpose} needs Linux; this is {platform.system()}. With Docker: --provider kind")
    if os.geteuid() != 0:
        raise Failure(f"{purpose} needs root. Try: sudo python3 -m hack …; or, with Docker: --provider kind")


def disk(folder: Path, gib: float, purpose: str) -> None:
    """Require room for `gib` more on the file system that holds `folder` (or will hold it)."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free / GIB
    if free < gib:
        raise Failure(
            f"{purpose} needs {gib:.0f} GiB of disk below {folder}; {free:.1f} GiB are free. "
            f"Make room, or put the cache elsewhere: TANDEM_CACHE=/a/larger/disk"
        )


def memory(gib: float, purpose: str) -> None:
    """Require so much memory that the kernel could give without swapping."""
    free = available_memory(Path("/proc/meminfo").read_text()) / GIB
    if free < gib:
        raise Failure(f"{purpose} needs {gib:.1f} GiB of free memory; {free:.1f} GiB are available")


def available_memory(meminfo: str) -> int:
    """Return the bytes of available memory, from the text of /proc/meminfo."""
    lines = dict(line.split(":", 1) for line in meminfo.splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def ports(numbers: Iterable[int], purpose: str) -> None:
    """Require that nobody listens on these ports, at any address."""
    if taken := [number for number in numbers if not _free(number)]:
        listed = ", ".join(map(str, taken))
        raise Failure(
            f"{purpose} needs these ports, which something else listens on: {listed} (see: ss -ltnp). "
            f"If that is another Kubernetes or etcd, stop it first"
        )


def _free(port: int) -> bool:
    try:
        socket.create_server(("", port)).close()
    except OSError:
        return False
    return True


def may_lower_oom_scores() -> bool:
    """Return whether this process has CAP_SYS_RESOURCE."""
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> CAP_SYS_RESOURCE & 1)
