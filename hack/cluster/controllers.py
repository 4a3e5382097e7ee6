"""kube-controller-manager and kube-scheduler."""

from functools import partial
from typing import Final

from hack import tools
from hack.cluster import addresses
from hack.cluster.control_plane import ControlPlane
from hack.cluster.health import answers

MANAGER_PORT: Final = 10257
SCHEDULER_PORT: Final = 10259
SECONDS: Final = 60.0


def start(control_plane: ControlPlane) -> None:
    """Start both and wait until they are healthy."""
    _start(control_plane, "kube-controller-manager", MANAGER_PORT, _manager_options(control_plane))
    _start(control_plane, "kube-scheduler", SCHEDULER_PORT, [])


def _start(control_plane: ControlPlane, name: str, port: int, options: list[str]) -> None:
    authority = control_plane.authority()
    server = authority.server("localhost", [f"IP:{addresses.LOCAL}"])
    common = [
        f"--kubeconfig={control_plane.client(name, f'system:{name}')}",
        "--leader-elect=false",
        f"--bind-address={addresses.LOCAL}",
        f"--secure-port={port}",
        f"--tls-cert-file={server.path}",
        f"--tls-private-key-file={server.key}",
    ]
    control_plane.processes.start(name, tools.executable(name), [*common, *options])
    healthy = partial(answers, f"https://{addresses.LOCAL}:{port}/healthz", authority.certificate)
    control_plane.processes.wait(name, healthy, SECONDS, until="healthy")


def _manager_options(control_plane: ControlPlane) -> list[str]:
    trusted = control_plane.authority().certificate
    return [
        "--allocate-node-cidrs=false",
        f"--cluster-cidr={addresses.PODS}",
        f"--cluster-signing-cert-file={trusted.path}",
        f"--cluster-signing-key-file={trusted.key}",
        f"--root-ca-file={trusted.path}",
        f"--service-account-private-key-file={control_plane.token_key()}",
        "--use-service-account-credentials",
    ]
