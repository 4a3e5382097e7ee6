"""etcd and kube-apiserver: a whole Kubernetes API without a node, run by any user."""

import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from hack import tools
from hack.cluster import addresses, kubeconfig
from hack.cluster.health import answers
from hack.cluster.pki import Authority, Certificate, signing_key
from hack.cluster.processes import Processes

ETCD_SECONDS: Final = 60.0
API_SERVER_SECONDS: Final = 120.0

KUBELET_CLIENT: Final = "kube-apiserver-kubelet-client"
FRONT_PROXY: Final = "front-proxy-client"
SERVER_NAMES: Final = [
    *(f"IP:{address}" for address in (addresses.LOCAL, addresses.NODE, addresses.KUBERNETES_SERVICE)),
    *(f"DNS:{name}" for name in ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")),
    f"DNS:kubernetes.default.svc.{addresses.DOMAIN}",
]


@dataclass(frozen=True)
class Ports:
    """Where etcd and the API server listen."""

    api: int
    etcd: int
    etcd_peer: int

    @classmethod
    def free(cls) -> "Ports":
        """Return three ports that nobody listens on at the moment."""
        sockets = [socket.create_server((addresses.LOCAL, 0)) for _ in range(3)]
        numbers = [each.getsockname()[1] for each in sockets]
        for each in sockets:
            each.close()
        return cls(*numbers)


class ControlPlane:
    """A Kubernetes API whose data, certificates and logs are in `folder`.

    `start()` and `stop()` may be called again and again; the data stay until the folder is deleted.
    """

    def __init__(self, folder: Path, address: str = addresses.LOCAL, ports: Ports | None = None) -> None:
        self.ports = ports or Ports.free()
        self.address = address
        self.url = f"https://{address}:{self.ports.api}"
        self.kubeconfig = folder / "kubeconfig"
        self.data = folder / "etcd"
        self.pki = folder / "pki"
        self.processes = Processes(folder)

    def start(self) -> Path:
        """Start what does not run, wait until the API is ready, and return the path of an admin's kubeconfig."""
        self._start_etcd()
        self._start_api_server()
        return kubeconfig.write(self.kubeconfig, self.url, self.authority().certificate, self.admin())

    def stop(self) -> None:
        """End both; the data stay."""
        for name in ("kube-apiserver", "etcd"):
            self.processes.stop(name)

    def ready(self) -> bool:
        """Return whether the API answers and can serve."""
        return answers(f"{self.url}/readyz", self.authority().certificate, self.admin())

    def authority(self) -> Authority:
        """Return who signs the API server's certificate and those of its clients."""
        return Authority(self.pki / "kubernetes", "tandem")

    def admin(self) -> Certificate:
        """Return a certificate whose bearer may do everything."""
        return self.authority().client("admin", "tandem-admin", "system:masters")

    def client(self, name: str, user: str, group: str = "") -> Path:
        """Return a kubeconfig for a part of the cluster that the API server is to know as `user`, who is in `group`."""
        certificate = self.authority().client(name, user, group)
        return kubeconfig.write(self.pki / f"{name}.kubeconfig", self.url, self.authority().certificate, certificate)

    def token_key(self) -> Path:
        """Return what service account tokens are signed with."""
        return signing_key(self.pki / "service-accounts.key")

    def _start_etcd(self) -> None:
        authority, client = self._etcd_authority(), self._etcd_client()
        server = authority.server("server", [f"IP:{addresses.LOCAL}"])
        options = _etcd_options(self.data, self.ports, authority, server)
        self.processes.start("etcd", tools.executable("etcd"), options)
        url = f"https://{addresses.LOCAL}:{self.ports.etcd}/health"
        healthy = partial(answers, url, authority.certificate, client)
        self.processes.wait("etcd", healthy, ETCD_SECONDS, until="healthy")

    def _start_api_server(self) -> None:
        options = [
            *_listening(self.address, self.ports.api, self.authority().server("kube-apiserver", SERVER_NAMES)),
            *_storing(self.ports.etcd, self._etcd_authority().certificate, self._etcd_client()),
            *_authenticating(self.authority().certificate, self.token_key()),
            *_calling_kubelets(self.authority()),
            *_aggregating(Authority(self.pki / "front-proxy", "tandem-front-proxy")),
        ]
        self.processes.start("kube-apiserver", tools.executable("kube-apiserver"), options)
        self.processes.wait("kube-apiserver", self.ready, API_SERVER_SECONDS, until="ready")

    def _etcd_authority(self) -> Authority:
        return Authority(self.pki / "etcd", "tandem-etcd")

    def _etcd_client(self) -> Certificate:
        return self._etcd_authority().client("kube-apiserver", "kube-apiserver")


def _etcd_options(data: Path, ports: Ports, authority: Authority, server: Certificate) -> list[str]:
    clients, peers = (f"https://{addresses.LOCAL}:{port}" for port in (ports.etcd, ports.etcd_peer))
    trusted = authority.certificate.path
    return [
        f"--data-dir={data}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--client-cert-auth",
        f"--trusted-ca-file={trusted}",
        f"--cert-file={server.path}",
        f"--key-file={server.key}",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={trusted}",
        f"--peer-cert-file={server.path}",
        f"--peer-key-file={server.key}",
        "--enable-grpc-gateway=false",
        "--log-level=warn",
    ]


def _listening(address: str, port: int, server: Certificate) -> list[str]:
    return [
        f"--bind-address={address}",
        f"--secure-port={port}",
        f"--advertise-address={addresses.NODE}",
        f"--service-cluster-ip-range={addresses.SERVICES}",
        f"--tls-cert-file={server.path}",
        f"--tls-private-key-file={server.key}",
        "--profiling=false",
    ]


def _storing(port: int, authority: Certificate, client: Certificate) -> list[str]:
    return [
        f"--etcd-servers=https://{addresses.LOCAL}:{port}",
        f"--etcd-cafile={authority.path}",
        f"--etcd-certfile={client.path}",
        f"--etcd-keyfile={client.key}",
    ]


def _authenticating(authority: Certificate, token_key: Path) -> list[str]:
    return [
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--client-ca-file={authority.path}",
        f"--service-account-issuer=https://kubernetes.default.svc.{addresses.DOMAIN}",
        f"--service-account-key-file={token_key}",
        f"--service-account-signing-key-file={token_key}",
    ]


def _calling_kubelets(authority: Authority) -> list[str]:
    client = authority.client("kubelet-client", KUBELET_CLIENT)
    return [
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={authority.certificate.path}",
        f"--kubelet-client-certificate={client.path}",
        f"--kubelet-client-key={client.key}",
    ]


def _aggregating(authority: Authority) -> list[str]:
    """Return how API servers that extend this one (metrics-server) know that a request comes from it, and for whom."""
    client = authority.client("client", FRONT_PROXY)
    return [
        "--enable-aggregator-routing",
        f"--proxy-client-cert-file={client.path}",
        f"--proxy-client-key-file={client.key}",
        f"--requestheader-client-ca-file={authority.certificate.path}",
        f"--requestheader-allowed-names={FRONT_PROXY}",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    ]
