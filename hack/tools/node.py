"""etcd, Kubernetes' own programs and pause, built from the Go module in hack/node."""

import hashlib
from pathlib import Path

from hack import cache, progress, versions
from hack.tools import golang

MODULE = Path(__file__).parent.parent / "node"
PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "remove-pods",
)
"""All of them are the one binary `node`, which goes by the name under which it is started."""

VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


def ensure() -> Path:
    """The folder with PROGRAMS and `pause`."""
    version = versions.pinned("kubernetes")["version"]

    def build(folder: Path) -> None:
        with progress.step(f"building Kubernetes {version} and etcd (about six minutes on two cores)") as step:
            golang.build_module(MODULE, folder, variables=version_variables(version))
            for program in PROGRAMS:
                (folder / program).symlink_to("node")
            step.result = "built"

    return cache.ensure(cache.tool("node", f"{version}-{fingerprint()}"), build)


def version_variables(version: str) -> dict[str, str]:
    """What Kubernetes' own build sets, so that the programs know their version."""
    major, minor, _ = version.split(".")
    values = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return {f"{package}.{name}": value for package in VERSION_PACKAGES for name, value in values.items()}


def fingerprint() -> str:
    """A short hash of the sources of the module."""
    content = hashlib.sha256()
    for file in sorted(path for path in MODULE.rglob("*") if path.is_file()):
        content.update(f"{file.relative_to(MODULE)}\0{file.stat().st_size}\0".encode())
        content.update(file.read_bytes())
    return content.hexdigest()[:12]
