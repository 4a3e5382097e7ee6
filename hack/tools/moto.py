"""Moto's server, which speaks S3, in an environment of its own: it does not go with what the operator needs."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hack import cache, progress
from hack.command import run

NAME: Final = "moto_server"
LOCK: Final = Path(__file__).parent.parent.parent / "requirements" / "moto.lock"


def ensure(uv: Callable[[], Path], python: Callable[[], Path]) -> Path:
    """Return the folder that has `moto_server`, installed where it is missing.

    `uv` and `python` return the folders that have those.
    """
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]

    def install(folder: Path) -> None:
        with progress.step("getting moto's server (from PyPI)"):
            program = uv() / "uv"
            base = (python() / "python").resolve()
            run([program, "venv", "--quiet", "--relocatable", "--no-python-downloads", "--python", base, folder])
            into = folder / "bin" / "python"
            run([program, "pip", "install", "--quiet", "--require-hashes", "--python", into, "-r", LOCK])

    return cache.ensure(cache.tool("moto", digest), install) / "bin"
