"""The control plane on its own: what every other integration test stands on."""

import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster.control_plane import ControlPlane
from hack.cluster.kubectl import Kubectl
from hack.cluster.processes import Processes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plane")


@pytest.fixture(scope="module")
def plane(folder: Path) -> Iterator[ControlPlane]:
    plane = ControlPlane(folder)
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


def test_starting_it_again_changes_nothing_and_data_outlive_a_stop(plane: ControlPlane, folder: Path) -> None:
    kubectl, processes = Kubectl(plane.kubeconfig), Processes(folder)
    kubectl("create", "namespace", "kept")
    before = [processes.record(name) for name in processes.names()]
    plane.start()
    assert [processes.record(name) for name in processes.names()] == before
    plane.stop()
    assert not plane.ready()
    assert processes.names() == []
    plane.start()
    assert "namespace/kept" in kubectl("get", "namespaces", "-o", "name")


def test_who_has_no_certificate_may_do_nothing(plane: ControlPlane) -> None:
    stranger = ssl.create_default_context(cafile=plane.authority().certificate.path)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{plane.url}/api/v1/secrets", context=stranger)
    refused.value.close()
    assert refused.value.code == 403


def test_etcd_talks_to_nobody_but_the_api_server(plane: ControlPlane) -> None:
    others = plane.admin()
    context = ssl._create_unverified_context()
    context.load_cert_chain(others.path, others.key)
    url = f"https://127.0.0.1:{plane.ports.etcd}/health"
    with pytest.raises((urllib.error.URLError, ConnectionError, ssl.SSLError)):
        urllib.request.urlopen(url, context=context)


def test_it_listens_on_this_machine_only(plane: ControlPlane) -> None:
    for port in (plane.ports.api, plane.ports.etcd, plane.ports.etcd_peer):
        socket.create_server(("127.0.0.2", port)).close()
