"""The control group below which all pods run, so that none of them can outlive the cluster unseen."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from hack.failure import Failure

ROOT: Final = Path("/sys/fs/cgroup")
NAME: Final = "tandem"
NEEDED: Final = {"cpu", "memory", "pids"}
END_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.05


def check(root: Path = ROOT) -> None:
    """Raise Failure where this machine keeps the groups of pods from being made."""
    if missing := NEEDED - controllers(root):
        raise Failure(f"pods need the cgroup controllers {', '.join(sorted(missing))}, which {root} has not")
    if not all(os.access(each, os.W_OK) for each in hierarchies(root)):
        raise Failure(f"pods need a writable {root}. Inside a container, start that one with --privileged")


def controllers(root: Path) -> set[str]:
    """Return the controllers of cgroup v2, or else the hierarchies of v1, one for each controller."""
    unified = root / "cgroup.controllers"
    return set(unified.read_text().split()) if unified.exists() else {path.name for path in hierarchies(root)}


def hierarchies(root: Path) -> list[Path]:
    """Return the root of the tree of cgroup v2, or the roots of those of v1."""
    if (root / "cgroup.controllers").exists():
        return [root]
    return [path for path in root.iterdir() if (path / "cgroup.procs").exists() and not path.is_symlink()]


def create(root: Path = ROOT) -> None:
    """Make the group, which the kubelet wants to find."""
    delegation = root / "cgroup.subtree_control"
    if delegation.exists():
        delegation.write_text(" ".join(f"+{name}" for name in sorted(controllers(root))))
    for hierarchy in hierarchies(root):
        (hierarchy / NAME).mkdir(exist_ok=True)


def remove(root: Path = ROOT) -> None:
    """Kill what still runs in the group, and take it away."""
    groups = [hierarchy / NAME for hierarchy in hierarchies(root) if (hierarchy / NAME).exists()]
    deadline = time.monotonic() + END_SECONDS
    while left := {pid for group in groups for pid in _members(group)}:
        if time.monotonic() > deadline:
            raise Failure(f"these processes of pods do not end: {', '.join(map(str, sorted(left)))}")
        for pid in left:
            with suppress(ProcessLookupError):  # it may have ended by itself
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_SECONDS)
    for group in groups:
        for folder, _, _ in os.walk(group, topdown=False):
            Path(folder).rmdir()


def _members(group: Path) -> list[int]:
    return [int(pid) for file in group.rglob("cgroup.procs") for pid in file.read_text().split()]
