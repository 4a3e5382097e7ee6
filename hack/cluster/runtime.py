"""containerd, which holds the images and runs the containers."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hack import tools
from hack.cluster import checks, network
from hack.cluster.processes import Processes
from hack.command import run
from hack.failure import Failure

START_SECONDS: Final = 60.0
NAMESPACE: Final = "k8s.io"


class Runtime:
    """containerd with its images in `content`, its configuration in `folder`, and in `state` what ends with it."""

    def __init__(self, processes: Processes, folder: Path, content: Path, state: Path) -> None:
        self.processes = processes
        self.folder = folder
        self.content = content
        self.state = state
        self.socket = state / "containerd.sock"
        self.networks = folder / "networks"
        self.endpoint = f"unix://{self.socket}"

    def start(self, pause: str) -> None:
        """Start containerd; `pause` is the image of the process that holds a pod's namespaces open."""
        configuration = self.folder / "containerd.toml"
        files = {
            self.networks / "tandem.conflist": json.dumps(network.of_pods(self.folder / "addresses"), indent=1),
            configuration: self.configuration(pause, restrict_oom_score=not checks.may_lower_oom_scores()),
        }
        options = ["--config", str(configuration), "--log-level", "warn"]
        program = tools.executable("containerd")
        path = os.pathsep.join([*map(str, tools.folders("containerd-shim-runc-v2", "runc")), os.environ["PATH"]])
        self.processes.start("containerd", program, options, environment={"PATH": path}, files=files)
        self.processes.wait("containerd", self.answers, START_SECONDS, until="answering")

    def answers(self) -> bool:
        """Return whether containerd runs pods by now."""
        try:
            return self.socket.exists() and " ok" in self._ctr("plugins", "ls", "id==cri")
        except Failure:
            return False

    def load(self, archive: Path, reference: str) -> None:
        """Import the docker-archive of an image, if it is not there already."""
        if reference not in self.images():
            # Unpacked layers are all that pods need: their archives would take the same room once more.
            self._ctr("images", "import", "--local", "--discard-unpacked-layers", str(archive))
        if reference not in self.images():
            raise Failure(f"{archive} does not hold the image {reference}")

    def forget(self, outdated: Callable[[str], bool]) -> None:
        """Remove the images whose reference is `outdated`."""
        if removed := with_their_ids(self.images(), outdated):
            self._ctr("images", "rm", *removed)

    def images(self) -> dict[str, str]:
        """Return the images that the node has: reference -> digest."""
        rows = [line.split() for line in self._ctr("images", "ls").splitlines()[1:]]
        return {row[0]: row[2] for row in rows}

    def _ctr(self, *arguments: str) -> str:
        return run([tools.executable("ctr"), "--address", self.socket, "--namespace", NAMESPACE, *arguments])

    def remove_pods(self) -> None:
        """Stop and remove all pods in good order, as the kubelet would."""
        run([tools.executable("remove-pods"), self.endpoint])

    def configuration(self, pause: str, *, restrict_oom_score: bool) -> str:
        """Return what has containerd keep in our folders all that it would put elsewhere; nothing else is unusual."""
        return f"""\
version = 4
root = "{self.content}"
state = "{self.state}/containerd"
imports = []
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]

[plugins."io.containerd.server.v1.grpc"]
address = "{self.socket}"

[plugins."io.containerd.server.v1.ttrpc"]
address = "{self.socket}.ttrpc"

[plugins."io.containerd.shim.v1.manager"]
socket_dir = "{self.state}/shims"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{pause}"

[plugins."io.containerd.cri.v1.runtime"]
netns_mounts_under_state_dir = true
restrict_oom_score_adj = {str(restrict_oom_score).lower()}

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{tools.ensure("host-local")}"]
conf_dir = "{self.networks}"
use_internal_loopback = true

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
Root = "{self.state}/runc"
SystemdCgroup = false
"""


def with_their_ids(images: Mapping[str, str], outdated: Callable[[str], bool]) -> list[str]:
    """Return the outdated references in `images` (reference -> digest), and the ids of images that have no other.

    The kubelet's side of containerd gives every image a second reference, its id ("sha256:…"), which would keep it.
    """
    named = {reference: digest for reference, digest in images.items() if not reference.startswith("sha256:")}
    removed = [reference for reference in named if outdated(reference)]
    kept = {digest for reference, digest in named.items() if reference not in removed}
    gone = {named[reference] for reference in removed} - kept
    return [*removed, *(reference for reference, digest in images.items() if reference not in named and digest in gone)]
