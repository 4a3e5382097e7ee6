"""What Debian packages well enough."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hack import progress
from hack.command import run
from hack.failure import Failure

PACKAGES = {
    "buildah": "buildah",
    "chromium": "chromium",
    "conntrack": "conntrack",
    "gcc": "build-essential",
    "host-local": "containernetworking-plugins",
    "ip": "iproute2",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "nginx": "nginx",
    "openssl": "openssl",
    "redis-server": "redis-server",
    "runc": "runc",
}
"""Executable -> the package that has it."""

CNI_PLUGINS = Path("/usr/lib/cni")
FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", str(CNI_PLUGINS))
LISTS = Path("/var/lib/apt/lists")
POLICY = Path("/usr/sbin/policy-rc.d")


def folder(executable: str) -> Path:
    """The folder that has `executable`. Failure where it is not installed."""
    found = _find(executable)
    if found is None:
        raise Failure(f"{executable} is missing. On Debian it is in the package {PACKAGES[executable]}")
    return found.parent


def _find(executable: str) -> Path | None:
    found = shutil.which(executable, path=os.pathsep.join(FOLDERS))
    return Path(found) if found else None


def ensure(executables: Sequence[str]) -> None:
    """Install the packages of those executables that are missing, all at once."""
    if missing := sorted({PACKAGES[name] for name in executables if _find(name) is None}):
        install(missing)


def install(packages: Sequence[str]) -> None:
    """apt-get install; Failure where this is not Debian, or not root."""
    listed = " ".join(packages)
    if not shutil.which("apt-get"):
        raise Failure(f"missing: {listed} (names of Debian packages). Install them with this system's package manager")
    if os.geteuid() != 0:
        raise Failure(f"missing: {listed}. Run this as root, or: sudo apt-get install {listed}")
    with progress.step(f"installing {', '.join(packages)} (apt)"), _no_services():
        command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
        environment = {"DEBIAN_FRONTEND": "noninteractive"}
        if not any(LISTS.glob("*_Packages*")):
            run([*command, "update"], env=environment)
        arguments = ["install", "--yes", "--no-install-recommends", *packages]
        try:
            run([*command, *arguments], env=environment)
        except Failure:
            progress.say("apt: the lists may be out of date, updating them")
            run([*command, "update"], env=environment)
            run([*command, *arguments], env=environment)


@contextmanager
def _no_services() -> Iterator[None]:
    """Meanwhile no package starts a service of its own: programs are wanted, not a web server on port 80."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
