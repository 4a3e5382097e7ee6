"""The Python that .venv is made of: the minor version that the images ship, with its headers.

Everything in hack/ itself runs on the machine's own, which may be older.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hack import cache, path, progress, versions
from hack.command import run
from hack.failure import Failure
from hack.tools import debian

NAME: Final = "python"
ASK: Final = "import sys, sysconfig; print(*sys.version_info[:2], sep='.'); print(sysconfig.get_path('include'))"
PATIENCE: Final = {"UV_HTTP_CONNECT_TIMEOUT": "5", "UV_HTTP_RETRIES": "1"}
"""For uv: where a firewall silently drops packets, it is Debian's turn after some seconds."""

EXTENSIONS_NEED: Final = "libstdc++6"
"""What extension modules from PyPI are linked with besides: of the same release as the C library below it."""

MODULES: Final = "ctypes, sqlite3, ssl, zlib"
"""What has to work in one that was unpacked: modules that load other libraries."""


def minor() -> str:
    """Return the version, as "3.13"."""
    version: str = versions.pinned("python")["minor"]
    return version


def ensure(uv: Callable[[], Path]) -> Path:
    """Return the folder that has `python`, a link to one that is got where the machine has none with headers.

    `uv` returns the folder that has uv.
    """
    program = _of_machine() or _fetched(uv)
    return path.links({NAME: program})


def include(python: Path) -> Path:
    """Return the folder with the headers of a Python. Failure where they are missing."""
    folder = Path(run([python, "-c", ASK]).splitlines()[1])
    if not (folder / "Python.h").exists():
        raise Failure(f"{folder} has no headers of Python. On Debian they are in the package python{minor()}-dev")
    return folder


def mmdebstrap_arguments() -> list[str]:
    """Return what Debian's is unpacked from."""
    packages = (f"python{minor()}", f"python{minor()}-dev", EXTENSIONS_NEED)
    return [
        "--variant=extract",
        f"--include={','.join(packages)}",
        "--dpkgopt=path-exclude=/usr/share/*",
        versions.pinned("images")["debian"],
    ]


def _of_machine() -> Path | None:
    name = f"python{minor()}"
    candidates = (f"{sys.base_prefix}/bin/{name}", shutil.which(name, path=debian.SYSTEM_PATH))
    return next((Path(each).resolve() for each in candidates if each and _is_fit(each)), None)


def _is_fit(program: str) -> bool:
    """Return whether a program is that version of Python and has its headers."""
    try:
        answer = subprocess.run([program, "-c", ASK], capture_output=True, text=True, check=False)
    except OSError:
        return False
    version, _, headers = answer.stdout.strip().partition("\n")
    return version == minor() and Path(headers, "Python.h").exists()


def _fetched(uv: Callable[[], Path]) -> Path:
    sources = [versions.pinned("tools")["uv"], debian.MACHINE, *mmdebstrap_arguments()]
    digest = hashlib.sha256("\n".join(sources).encode()).hexdigest()[:12]
    target = cache.tool(NAME, f"{minor()}-{digest}")

    def get(folder: Path) -> None:
        with progress.step(f"getting Python {minor()} with its headers") as step:
            program = uv() / "uv"
            try:
                _download(folder, program)
                step.result = "downloaded"
            except Failure:
                step.detail = "no download: of Debian's packages"
                _unpack(folder, target)
                step.result = "made of Debian's packages, since there is no download"

    return cache.ensure(target, get) / "bin" / f"python{minor()}"


def _download(folder: Path, uv: Path) -> None:
    """Have uv download one that runs on any Linux. Failure where that does not answer."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        run([uv, "python", "install", "--quiet", "--no-bin", "--install-dir", temporary, minor()], env=PATIENCE)
        (installed,) = (each for each in Path(temporary).glob("cpython-*") if not each.is_symlink())
        installed.rename(folder)


def _unpack(folder: Path, target: Path) -> None:
    """Unpack Debian's, with a C library of its own, into `folder`, which is going to be moved to `target`."""
    try:
        debian.ensure(["mmdebstrap", "patchelf"])
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            debian.make_root(mmdebstrap_arguments(), Path(temporary, "root"))
            Path(temporary, "root", "usr").rename(folder)
    except Failure as failure:
        raise Failure(
            f"there is no Python {minor()} with headers here, and none to download. On Debian install "
            f"python{minor()}-dev; or, that it can be made of packages: {failure}"
        ) from failure
    _keep_own_headers(folder / "include")
    program, libraries = folder / "bin" / f"python{minor()}", Path("lib", debian.MACHINE)
    patchelf = debian.folder("patchelf") / "patchelf"
    loader = libraries / Path(run([patchelf, "--print-interpreter", program]).strip()).name
    # forced to be what holds for the libraries that extension modules load, too
    rpath = ["--force-rpath", "--set-rpath", f"$ORIGIN/../{libraries}"]
    run([patchelf, "--set-interpreter", target / loader, *rpath, program])
    run([folder / loader, program, "-c", f"import {MODULES}"])


def _keep_own_headers(folder: Path) -> None:
    """Delete those that are not Python's: a compiler would mix this C library's with its own."""
    own = folder / f"python{minor()}"
    (folder / debian.MACHINE / own.name / "pyconfig.h").replace(own / "pyconfig.h")
    for each in folder.iterdir():
        if each != own:
            cache.remove(each)
