"""kube-proxy, which leads the addresses of Services to pods."""

import json
from functools import partial
from pathlib import Path
from typing import Any, Final

from hack import tools
from hack.cluster import addresses, kubelet
from hack.cluster.control_plane import ControlPlane
from hack.cluster.health import answers

HEALTH_PORT: Final = 10256
METRICS_PORT: Final = 10249
SECONDS: Final = 60.0


def start(control_plane: ControlPlane, folder: Path) -> None:
    """Start kube-proxy with its configuration in `folder`, and wait until it has written its rules."""
    file = folder / "configuration.json"
    content = json.dumps(configuration(control_plane.client("kube-proxy", "system:kube-proxy")), indent=1)
    program = tools.executable("kube-proxy")
    control_plane.processes.start("kube-proxy", program, [f"--config={file}"], files={file: content})
    healthy = partial(answers, f"http://{addresses.LOCAL}:{HEALTH_PORT}/healthz")
    control_plane.processes.wait("kube-proxy", healthy, SECONDS, until="healthy")


def configuration(kubeconfig: Path) -> dict[str, Any]:
    """Return a KubeProxyConfiguration."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": addresses.PODS,
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "hostnameOverride": kubelet.NODE,
        "healthzBindAddress": f"{addresses.LOCAL}:{HEALTH_PORT}",
        "metricsBindAddress": f"{addresses.LOCAL}:{METRICS_PORT}",
        # The machine's own network stays out of it: no node ports there, no kernel settings changed.
        "nodePortAddresses": ["primary"],
        "iptables": {"localhostNodePorts": False},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
