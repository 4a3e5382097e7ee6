"""A real etcd and kube-apiserver for the whole session, without a node and without root."""

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Self

import pytest
from tandem_operator.api.schema import crd
from tandem_operator.kube.api import connected

from hack.cluster.control_plane import ControlPlane
from tests.integration.cluster import Kubernetes

ENDING_SECONDS = 120
"""Where both cores are busy, a process that ends may get no turn for long."""
_LONGEST = ("test_watch_gap.py", "test_definitions.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two processes share these tests, file by file: what takes longest begins first."""
    items.sort(key=lambda item: item.path.name not in _LONGEST)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane"))
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


@pytest.fixture
async def kubernetes(control_plane: ControlPlane) -> AsyncIterator[Kubernetes]:
    async with connected(str(control_plane.kubeconfig)) as client:
        cluster = Kubernetes(client)
        await cluster.define(crd())
        yield cluster


@pytest.fixture
async def namespace(kubernetes: Kubernetes) -> str:
    """A namespace that no operator watches."""
    return await kubernetes.namespace(f"still-{secrets.token_hex(4)}")


@pytest.fixture
async def live_namespace(kubernetes: Kubernetes, operator: None) -> str:
    """A namespace that the running operator watches."""
    return await kubernetes.namespace(f"live-{secrets.token_hex(4)}")


@pytest.fixture(scope="session")
def operator(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The operator as a process of its own."""
    log = tmp_path_factory.mktemp("operator") / "log"
    with running_operator(control_plane, log):
        yield


class running_operator:  # noqa: N801 # used as a with statement
    """The operator's process; leaving asks it to end and waits."""

    def __init__(self, control_plane: ControlPlane, log: Path, namespaces: str = "live-*", *arguments: str) -> None:
        self.environment = {**os.environ, "KUBECONFIG": str(control_plane.kubeconfig)}
        self.log = log
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = [sys.executable, "-c", "from tandem_operator.cli import main; raise SystemExit(main())", "run"]
        self.command = [
            *command,
            f"--namespace={namespaces}",
            f"--metrics-port={self.port}",
            "--resync-seconds=5",
            *arguments,
        ]

    def __enter__(self) -> Self:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(self.command, env=self.environment, stdout=output, stderr=output)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            code = self.process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        assert code == 0, self.log.read_text()
