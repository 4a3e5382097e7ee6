"""etcd, Kubernetes' own programs, containerd and what else a node runs, built from the Go module in hack/node.

One module, so that the programs share what they have in common: it is compiled once, and go.sum pins all of it.
"""

import hashlib
import re
from pathlib import Path
from typing import Final

from hack import cache, progress
from hack.tools import golang

MODULE: Final = Path(__file__).parent.parent / "node"
LINKS: Final = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "remove-pods",
)
"""All of them are the one binary `node`, which goes by the name under which it is started."""

COMMANDS: Final = {
    "node": ".",
    "pause": "./pause",
    "coredns": "./coredns",
    "containerd": "github.com/containerd/containerd/v2/cmd/containerd",
    "containerd-shim-runc-v2": "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
    "ctr": "github.com/containerd/containerd/v2/cmd/ctr",
    "metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server",
}
PROGRAMS: Final = (*LINKS, *(name for name in COMMANDS if name != "node"))
VERSION_PACKAGES: Final = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


def folder() -> Path:
    """Return where PROGRAMS are, once they are built."""
    return cache.tool("node", f"{version_of('k8s.io/kubernetes').removeprefix('v')}-{fingerprint()}")


def ensure() -> Path:
    """Return the folder with PROGRAMS, which are built where they are missing."""

    def build(draft: Path) -> None:
        with progress.step("building Kubernetes, etcd, containerd, … (about five minutes on two cores)") as step:
            golang.build(MODULE, list(COMMANDS.values()), draft, variables=version_variables())
            for link in LINKS:
                (draft / link).symlink_to("node")
            step.result = "built"

    return cache.ensure(folder(), build)


def version_of(module: str) -> str:
    """Return the version ("v1.37.1") of a module that go.mod requires."""
    match = re.search(rf"^\s+{re.escape(module)} (v\S+)", (MODULE / "go.mod").read_text(), re.MULTILINE)
    if match is None:
        raise ValueError(f"{MODULE}/go.mod does not require {module}")
    return match[1]


def version_variables() -> dict[str, str]:
    """Return what the programs' own builds set, so that they know their version."""
    version = version_of("k8s.io/kubernetes")
    major, minor, _ = version.removeprefix("v").split(".")
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    kubernetes = {f"{package}.{name}": value for package in VERSION_PACKAGES for name, value in values.items()}
    containerd = "github.com/containerd/containerd/v2"
    return {**kubernetes, f"{containerd}/version.Version": version_of(containerd)}


def fingerprint() -> str:
    """Return a short hash of the sources of the module."""
    content = hashlib.sha256()
    for file in sorted(path for path in MODULE.rglob("*") if path.is_file()):
        content.update(f"{file.relative_to(MODULE)}\0{file.stat().st_size}\0".encode())
        content.update(file.read_bytes())
    return content.hexdigest()[:12]
