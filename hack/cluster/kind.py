"""Kubernetes in a container of Docker."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from hack import cache, progress, tools, versions
from hack.cluster import addons
from hack.cluster.kubectl import Kubectl
from hack.cluster.status import Part, of_nodes
from hack.command import run

NAME: Final = "tandem"
NODE: Final = f"{NAME}-control-plane"
METRICS_SECONDS: Final = 180
DOCKER_SECONDS: Final = 10
KUBELET_TRUST: Final = "--kubelet-insecure-tls"  # kind's kubelet signs its own certificate


class Kind:
    """The cluster of kind that is called `tandem`."""

    name = "kind"

    def __init__(self) -> None:
        self.folder = cache.root() / "kind"
        self.kubeconfig = self.folder / "kubeconfig"
        self.kubectl = Kubectl(self.kubeconfig)

    def running(self) -> bool:
        """Return whether it was started and not taken down since."""
        return self.kubeconfig.exists()

    def up(self) -> None:
        """Create it where it is missing, and return when pods can run."""
        with cache.lock("cluster"):
            if not self.running():
                node_image = pinned("kind-node")
                with progress.step(f"creating a cluster with kind ({node_image.partition('@')[0]})"):
                    self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                    self._kind(*deletion(self.kubeconfig))  # what an interrupted start left
                    self._kind(*creation(self.kubeconfig, node_image))
            with progress.step("metrics-server"):
                reference = pinned("metrics-server")
                addons.apply(self.kubectl, "metrics-server", image=reference, kubelet_trust=KUBELET_TRUST)
                addons.wait_for_metrics(self.kubectl, METRICS_SECONDS)

    def down(self) -> None:
        """Delete it, with its images."""
        with cache.lock("cluster"), progress.step("deleting the cluster of kind"):
            self._kind(*deletion(self.kubeconfig))
            cache.remove(self.folder)

    def load(self, archive: Path, reference: str) -> None:
        """Give the nodes the image in a docker-archive; nothing happens where they have it."""
        if reference not in run(["docker", "exec", NODE, "crictl", "images", "--output", "json"]):
            self._kind(*loading(archive))

    def status(self) -> list[Part]:
        """Return how the nodes and their own pods are."""
        return of_nodes(self.kubectl)

    def _kind(self, *arguments: str) -> None:
        run([tools.executable("kind"), *arguments])


def pinned(name: str) -> str:
    """Return the reference of a public image. That of the node decides the version of Kubernetes."""
    reference: str = versions.pinned("images")[name]
    return reference


def creation(kubeconfig: Path, node_image: str) -> list[str]:
    """Return arguments of kind: a new cluster, returned from once its node is ready."""
    where = ["--name", NAME, "--kubeconfig", str(kubeconfig)]
    return ["create", "cluster", *where, "--image", node_image, "--wait", "180s"]


def deletion(kubeconfig: Path) -> list[str]:
    """Return arguments of kind: no cluster, whether there was one or not."""
    return ["delete", "cluster", "--name", NAME, "--kubeconfig", str(kubeconfig)]


def loading(archive: Path) -> list[str]:
    """Return arguments of kind: import a docker-archive into every node."""
    return ["load", "image-archive", str(archive), "--name", NAME]


def docker_answers() -> bool:
    """Return whether there is a Docker daemon that this user may talk to."""
    if not shutil.which("docker"):
        return False
    try:
        command = ["docker", "info"]
        return subprocess.run(command, capture_output=True, check=False, timeout=DOCKER_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False
