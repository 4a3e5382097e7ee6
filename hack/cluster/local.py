"""Kubernetes as processes of this machine: control plane, containerd, kubelet and kube-proxy, for root on Linux.

It behaves as a cluster of one node does, but for one thing: network policies are accepted and not enforced.
"""

from pathlib import Path
from typing import Final

from hack import cache, path, progress, tools
from hack.cluster import (
    addons,
    addresses,
    cgroups,
    checks,
    controllers,
    kubelet,
    leftovers,
    modules,
    mounts,
    network,
    proxy,
    resolver,
    sysctls,
)
from hack.cluster.binary_image import binary_image
from hack.cluster.control_plane import KUBELET_CLIENT, ControlPlane, Ports
from hack.cluster.kubectl import Kubectl
from hack.cluster.processes import Processes
from hack.cluster.runtime import Runtime
from hack.cluster.status import Part, of_nodes
from hack.failure import Failure
from hack.tools import node

PORTS: Final = Ports(api=6443, etcd=2379, etcd_peer=2380)
PROCESS_PORTS: Final[dict[str, tuple[int, ...]]] = {
    "etcd": (PORTS.etcd, PORTS.etcd_peer),
    "kube-apiserver": (PORTS.api,),
    "kube-controller-manager": (controllers.MANAGER_PORT,),
    "kube-scheduler": (controllers.SCHEDULER_PORT,),
    "containerd": (),
    "kubelet": (kubelet.PORT, kubelet.HEALTH_PORT),
    "kube-proxy": (proxy.HEALTH_PORT, proxy.METRICS_PORT),
}
SYSTEM_TOOLS: Final = ("openssl", "ip", "iptables", "conntrack", "runc", "host-local")
IMAGES: Final = ("pause", "coredns", "metrics-server")
KUBELET_TRUST: Final = "--kubelet-certificate-authority=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"

STATE: Final = Path("/run/tandem")
OWNER: Final = STATE / "owner"

PURPOSE: Final = "the local cluster"
NEEDED_GIB: Final = {"memory": 1.5, "disk": 3.0}
NEEDED_TO_BUILD_GIB: Final = {"memory": 3.0, "disk": 9.0}
RUNTIME_SECONDS: Final = 30.0
ADDON_SECONDS: Final = 180


class Local:
    """The local cluster. `up()` starts what does not run, so that it also repairs; `down()` leaves only images."""

    name = "local"

    def __init__(self) -> None:
        self.folder = cache.cluster()
        self.sysctls_before = self.folder / "sysctls.json"
        self.control_plane = ControlPlane(self.folder, addresses.NODE, PORTS)
        self.kubeconfig = self.control_plane.kubeconfig
        self.processes = self.control_plane.processes
        self.kubectl = Kubectl(self.kubeconfig)
        self.runtime = Runtime(self.processes, self.folder / "runtime", cache.root() / "containerd", STATE)

    def running(self) -> bool:
        """Return whether it was started and not taken down since."""
        return self.folder.exists()

    def up(self) -> None:
        """Start what does not run, and return when pods can."""
        checks.linux_root(PURPOSE)
        with cache.lock("cluster"):
            self._check()
            _find_system_tools()
            pause, coredns, metrics_server = (binary_image(tools.executable(name)) for name in IMAGES)
            with progress.step("network"):
                self._prepare_machine()
            with progress.step("etcd and kube-apiserver"):
                self.control_plane.start()
            with progress.step("containerd"):
                self.runtime.start(pause[0])
                for reference, archive in (pause, coredns, metrics_server):
                    self.runtime.load(archive, reference)
            with progress.step("kube-controller-manager, kube-scheduler, kubelet and kube-proxy"):
                controllers.start(self.control_plane)
                kubelet.start(self.control_plane, self.folder / "kubelet", self.runtime.endpoint)
                proxy.start(self.control_plane, self.folder / "kube-proxy")
            with progress.step("CoreDNS and metrics-server"):
                self._start_addons(coredns[0], metrics_server[0])

    def down(self) -> None:
        """End the cluster and delete its state; the machine is as it was before. Images stay for the next one."""
        checks.linux_root(PURPOSE)
        _find_system_tools()
        with cache.lock("cluster"), progress.step("stopping the local cluster"):
            self.processes.stop("kubelet")
            self._empty_runtime()
            for name in ("kube-proxy", "kube-scheduler", "kube-controller-manager"):
                self.processes.stop(name)
            self.control_plane.stop()
            self.processes.stop("containerd")
            cgroups.remove()
            mounts.unmount_below([self.folder, STATE])
            network.tear_down()
            sysctls.restore(self.sysctls_before)
            leftovers.remove(self.folder)
            cache.remove(STATE)
            cache.remove(self.folder)

    def load(self, archive: Path, reference: str) -> None:
        """Give the node the image in a docker-archive; nothing happens where it has it."""
        self.runtime.load(archive, reference)

    def status(self) -> list[Part]:
        """Return how each process is, and, where the API answers, the node and its own pods."""
        parts = [self._status_of(name) for name in PROCESS_PORTS]
        if not self.control_plane.ready():
            return [*parts, Part("API", well=False, text="does not answer")]
        return [*parts, *of_nodes(self.kubectl)]

    def _status_of(self, name: str) -> Part:
        record = self.processes.record(name)
        if record and record.alive():
            return Part(name, well=True, text=f"runs as process {record.pid}")
        return Part(name, well=False, text=f"does not run, see {self.processes.log(name)}")

    def _check(self) -> None:
        """Raise Failure, before anything is done, where this machine cannot run what does not run yet."""
        self._check_owner()
        missing = [name for name in PROCESS_PORTS if not self.processes.running(name)]
        checks.ports([port for name in missing for port in PROCESS_PORTS[name]], PURPOSE)
        if "kube-apiserver" in missing:
            needed = NEEDED_GIB if node.folder().exists() else NEEDED_TO_BUILD_GIB
            checks.disk(cache.root(), needed["disk"], PURPOSE)
            checks.memory(needed["memory"], PURPOSE)
            cgroups.check()

    def _check_owner(self) -> None:
        """Raise Failure where a local cluster with another cache is up."""
        folder = Path(OWNER.read_text()) if OWNER.exists() else self.folder
        others = Processes(folder)
        if folder != self.folder and any(others.running(name) for name in others.names()):
            raise Failure(
                f"another local cluster is up, in {folder}. Take it down first: "
                f"TANDEM_CACHE={folder.parent} python3 -m hack down"
            )

    def _prepare_machine(self) -> None:
        if not self.sysctls_before.exists():
            network.check_is_free()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        STATE.mkdir(parents=True, exist_ok=True, mode=0o711)
        OWNER.write_text(str(self.folder))
        modules.load()
        sysctls.prepare(self.sysctls_before)
        cgroups.create()
        network.set_up()

    def _start_addons(self, coredns: str, metrics_server: str) -> None:
        addons.apply(self.kubectl, "access", kubelet_client=KUBELET_CLIENT)
        addons.apply(
            self.kubectl,
            "coredns",
            image=coredns,
            address=addresses.DNS_SERVICE,
            domain=addresses.DOMAIN,
            forward=resolver.forwarding(resolver.upstream()),
        )
        addons.apply(self.kubectl, "metrics-server", image=metrics_server, kubelet_trust=KUBELET_TRUST)
        addons.wait(self.kubectl, "coredns", ADDON_SECONDS)
        addons.wait_for_metrics(self.kubectl, ADDON_SECONDS)

    def _empty_runtime(self) -> None:
        """Have containerd end all pods in good order, and forget outdated images.

        Pods that are left where that fails are killed later.
        """
        try:
            self.processes.revive("containerd")
            self.processes.wait("containerd", self.runtime.answers, RUNTIME_SECONDS, until="answering")
            self.runtime.remove_pods()
            self.runtime.forget(_is_outdated)
        except Failure as failure:
            progress.say(f"pods do not end in good order and are killed: {failure}")


def _is_outdated(reference: str) -> bool:
    """Return whether an image ("tandem.local/NAME:CONTENT") was built here and has been replaced since."""
    name, _, content = reference.removeprefix("tandem.local/").rpartition(":")
    return reference.startswith("tandem.local/") and not cache.image(name, content).exists()


def _find_system_tools() -> None:
    """Have the programs of the operating system that the cluster and its parts start by their names."""
    path.add(tools.folders(*SYSTEM_TOOLS))
