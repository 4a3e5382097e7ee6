"""The orchestrator with its hot path as machine code, as images have it: for benchmarks and tests."""

import os
import shutil
import zipfile
from pathlib import Path
from typing import Final

from hack import cache, progress, tools
from hack.command import run
from hack.failure import Failure
from hack.images import content
from hack.tools import python

PROJECT: Final = Path(__file__).parents[1]
PYTHON: Final = PROJECT / ".venv/bin/python"
CFLAGS: Final = "-fno-semantic-interposition -fvisibility=hidden"  # as in the image: calls of our own stay direct
INPUTS: Final = (
    "orchestrator/pyproject.toml",
    "orchestrator/tandem_orchestrator",
    "contract/tandem_contract",
    "requirements/dev.lock",
)


def folder() -> Path:
    """Return what to put on PYTHONPATH for the Python of .venv, compiled where that has not been done.

    Failure where .venv, a compiler or Python's headers are missing.
    """
    if not PYTHON.exists():
        raise Failure("there is no .venv to compile for: make venv")
    version = run([PYTHON, "-c", "import sys; print(sys.version)"])
    name = content.digest(PROJECT, INPUTS, {"python": version, "CFLAGS": CFLAGS})
    return cache.ensure(cache.root() / "compiled" / name, _build)


def _build(target: Path) -> None:
    with progress.step("the orchestrator as machine code (about two minutes)"):
        headers = python.include(PYTHON)
        path = os.pathsep.join(map(str, [*tools.folders("gcc", "uv"), os.environ["PATH"]]))
        # a copy, since compiled modules that stayed beside their sources would hide later changes of these
        source = target.with_name(f"{target.name}.source")
        cache.remove(source)
        shutil.copytree(PROJECT / "orchestrator", source, ignore=shutil.ignore_patterns("__pycache__"))
        try:
            build = ["uv", "build", "--wheel", "--no-build-isolation", "--python", str(PYTHON), str(source)]
            # what a Python knows of its headers is where they were when it was built
            own = {"C_INCLUDE_PATH": str(headers), "HATCH_BUILD_HOOK_ENABLE_MYPYC": "true", "CFLAGS": CFLAGS}
            run(build, env={"PATH": path, "UV_CACHE_DIR": str(cache.uv()), **own})
            (wheel,) = (source / "dist").glob("*.whl")
            zipfile.ZipFile(wheel).extractall(target)
        finally:
            cache.remove(source)
