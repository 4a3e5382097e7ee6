"""The kubelet, which runs the pods of the one node."""

import json
from functools import partial
from pathlib import Path
from typing import Any, Final

from hack import tools
from hack.cluster import addresses, cgroups, resolver
from hack.cluster.control_plane import ControlPlane
from hack.cluster.health import answers
from hack.cluster.pki import Authority

NODE: Final = "tandem"
PORT: Final = 10250
HEALTH_PORT: Final = 10248
SECONDS: Final = 60.0


def start(control_plane: ControlPlane, folder: Path, runtime_endpoint: str) -> None:
    """Start the kubelet with everything of its pods in `folder`, and wait until it is healthy."""
    file, resolv_conf = folder / "configuration.json", folder / "resolv.conf"
    settings = configuration(folder, runtime_endpoint, resolv_conf, control_plane.authority())
    files = {
        file: json.dumps(settings, indent=1),
        resolv_conf: resolver.configuration(resolver.upstream()),
    }
    options = [
        f"--config={file}",
        f"--kubeconfig={control_plane.client('kubelet', f'system:node:{NODE}', 'system:nodes')}",
        f"--root-dir={folder}",
        f"--hostname-override={NODE}",
        f"--node-ip={addresses.NODE}",
    ]
    control_plane.processes.start("kubelet", tools.executable("kubelet"), options, files=files)
    healthy = partial(answers, f"http://{addresses.LOCAL}:{HEALTH_PORT}/healthz")
    control_plane.processes.wait("kubelet", healthy, SECONDS, until="healthy")


def configuration(folder: Path, runtime_endpoint: str, resolv_conf: Path, authority: Authority) -> dict[str, Any]:
    """Return a KubeletConfiguration."""
    server = authority.server("kubelet", [f"IP:{addresses.NODE}", f"DNS:{NODE}"])
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": addresses.NODE,
        "port": PORT,
        "healthzBindAddress": addresses.LOCAL,
        "healthzPort": HEALTH_PORT,
        "tlsCertFile": str(server.path),
        "tlsPrivateKeyFile": str(server.key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority.certificate.path)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": runtime_endpoint,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroups.NAME}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [addresses.DNS_SERVICE],
        "clusterDomain": addresses.DOMAIN,
        "resolvConf": str(resolv_conf),
        "podLogsDir": str(folder / "logs"),
        "volumePluginDir": str(folder / "volume-plugins"),
        "serializeImagePulls": False,
        # No registry could give a collected image back.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"},
    }
