"""What Debian packages well enough."""

import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hack import cache, path, progress
from hack.command import run
from hack.failure import Failure

MACHINE: Final = f"{platform.machine()}-linux-gnu"
PACKAGES: Final = {
    "buildah": "buildah",
    "chromium": "chromium",
    "conntrack": "conntrack",
    "curl": "curl",
    "gcc": "build-essential",
    "host-local": "containernetworking-plugins",
    "ip": "iproute2",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "modprobe": "kmod",
    "nginx": "nginx",
    "openssl": "openssl",
    "patchelf": "patchelf",
    "redis-server": "redis-server",
    "runc": "runc",
}
"""Executable -> the package that has it."""

COMPANIONS: Final = {
    "gcc": ("ar", "as", "c++", "cc", "g++", "ld", f"{MACHINE}-gcc", f"{MACHINE}-g++"),
    "host-local": ("bridge",),
    "iptables": ("iptables-restore", "iptables-save", "ip6tables", "ip6tables-restore", "ip6tables-save"),
}
"""Executable -> what its package (or one that this needs) has besides and is of no use without."""

CNI_PLUGINS: Final = "/usr/lib/cni"
SYSTEM_PATH: Final = os.pathsep.join(path.SYSTEM)
ENVIRONMENT: Final = {"DEBIAN_FRONTEND": "noninteractive", "PATH": SYSTEM_PATH}
"""For Debian's own tools: what packages run when they are installed is for Debian to say."""

KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LISTS: Final = Path("/var/lib/apt/lists")
POLICY: Final = Path("/usr/sbin/policy-rc.d")


def folder(executable: str) -> Path:
    """Return a folder that has `executable` and its companions alone. Failure where it is not installed."""
    program = _find(executable)
    if program is None:
        raise Failure(f"{executable} is missing. On Debian it is in the package {PACKAGES[executable]}")
    # beside it first: another package has a `bridge`, too
    found = {name: _find(name, str(program.parent)) for name in COMPANIONS.get(executable, ())}
    return path.links({executable: program} | {name: program for name, program in found.items() if program})


def _find(executable: str, *first: str) -> Path | None:
    found = shutil.which(executable, path=os.pathsep.join([*first, SYSTEM_PATH, CNI_PLUGINS]))
    return Path(found) if found else None


def ensure(executables: Sequence[str]) -> None:
    """Install the packages of those executables that are missing, all at once."""
    if missing := sorted({PACKAGES[name] for name in executables if _find(name) is None}):
        install(missing)


def install(packages: Sequence[str]) -> None:
    """Install by apt-get. Failure where this is not Debian, or not root."""
    listed = " ".join(packages)
    if not _find("apt-get"):
        raise Failure(f"missing: {listed} (names of Debian packages). Install them with this system's package manager")
    if os.geteuid() != 0:
        raise Failure(f"missing: {listed}. Run this as root, or: sudo apt-get install {listed}")
    with cache.lock("apt"), progress.step(f"installing {', '.join(packages)} (apt)"), _no_services():
        command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
        if not any(LISTS.glob("*_Packages*")):
            run([*command, "update"], env=ENVIRONMENT)
        arguments = ["install", "--yes", "--no-install-recommends", *packages]
        try:
            run([*command, *arguments], env=ENVIRONMENT)
        except Failure:
            progress.say("apt: the lists may be out of date, updating them")
            run([*command, "update"], env=ENVIRONMENT)
            run([*command, *arguments], env=ENVIRONMENT)


def make_root(arguments: Sequence[str], target: Path) -> None:
    """Have mmdebstrap make a root file system of packages: a folder, or a tar file."""
    ensure(["mmdebstrap"])
    if not KEYRING.exists():
        install(["debian-archive-keyring"])
    run([folder("mmdebstrap") / "mmdebstrap", *arguments, target], env=ENVIRONMENT)


@contextmanager
def _no_services() -> Iterator[None]:
    """Keep packages from starting services of their own: programs are wanted, not a web server on port 80."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
