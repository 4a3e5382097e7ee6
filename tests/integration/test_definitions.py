"""An API that goes and comes back while the operator runs, and a store that is wiped or restored."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from tandem_operator.api.schema import crd
from tandem_operator.kube.api import connected
from tandem_operator.kube.resources import LLM_SERVICE, SERVICE_MONITOR, Object
from tandem_operator.kube.store import Key

from hack.cluster.control_plane import ControlPlane
from tests.integration.cluster import Kubernetes, eventually
from tests.integration.conftest import running_operator
from tests.integration.test_reconcile import CHILDREN_OF_MINIMAL, owned, service_monitors

NAMESPACE = "changing"
DEFINITION = crd()["metadata"]["name"]


@asynccontextmanager
async def speaking_to(plane: ControlPlane) -> AsyncIterator[Kubernetes]:
    async with connected(str(plane.kubeconfig)) as client:
        yield Kubernetes(client)


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[ControlPlane]:
    """One of our own: what is done to it would stop the work of others."""
    plane = ControlPlane(tmp_path / "plane")
    try:
        plane.start()
        async with speaking_to(plane) as kubernetes:
            await kubernetes.define(crd())
            await kubernetes.namespace(NAMESPACE)
        yield plane
    finally:
        plane.stop()


class lasting_operator(running_operator):  # noqa: N801 # used as a with statement
    """An operator whose process never ends by itself, and says that it is well."""

    async def figure(self, name: str) -> float | None:
        assert self.process.poll() is None, self.log.read_text()
        try:
            async with aiohttp.request("GET", f"http://127.0.0.1:{self.port}/healthz") as answer:
                assert answer.status == 200
            async with aiohttp.request("GET", f"http://127.0.0.1:{self.port}/metrics") as answer:
                lines = (await answer.text()).splitlines()
        except aiohttp.ClientError:
            return None
        return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), None)

    async def says(self, name: str, value: float) -> None:
        async def so() -> bool:
            return await self.figure(name) == value

        await eventually(so)


def operator(plane: ControlPlane, tmp_path: Path, *, everywhere: bool = False) -> lasting_operator:
    made = lasting_operator(plane, tmp_path / "operator.log", NAMESPACE)
    if everywhere:
        made.command.remove(f"--namespace={NAMESPACE}")
    return made


async def children(kubernetes: Kubernetes, name: str) -> dict[tuple[str, str], Object]:
    return owned(await kubernetes.objects(Key(NAMESPACE, name)))


async def served(kubernetes: Kubernetes, name: str) -> None:
    """Create a service, and wait until it is built and reported."""
    key = await kubernetes.serve(NAMESPACE, name)

    async def built() -> bool:
        if len(await children(kubernetes, name)) < len(CHILDREN_OF_MINIMAL):
            return False
        return bool(await kubernetes.conditions(key))

    await eventually(built)


@pytest.mark.parametrize("everywhere", [False, True], ids=["namespace", "cluster"])
async def test_a_definition_that_is_deleted_is_waited_for(
    plane: ControlPlane, tmp_path: Path, *, everywhere: bool
) -> None:
    with operator(plane, tmp_path, everywhere=everywhere) as running:
        async with speaking_to(plane) as kubernetes:
            await served(kubernetes, "before")
            await running.says("tandem_operator_services", 1)
            await kubernetes.undefine(DEFINITION)
            await running.says("tandem_operator_undefined", 1)
            await running.says("tandem_operator_services", 0)
            assert "no CustomResourceDefinition of LLMServices" in running.log.read_text()
            await kubernetes.define(crd())
            await served(kubernetes, "after")
            await running.says("tandem_operator_undefined", 0)


async def test_an_operator_may_come_before_its_definition(plane: ControlPlane, tmp_path: Path) -> None:
    async with speaking_to(plane) as kubernetes:
        await kubernetes.undefine(DEFINITION)
        await eventually_undefined(kubernetes)
        with operator(plane, tmp_path) as running:
            await running.says("tandem_operator_undefined", 1)
            await kubernetes.define(crd())
            await served(kubernetes, "first")


async def test_an_optional_definition_may_go(plane: ControlPlane, tmp_path: Path) -> None:
    async with speaking_to(plane) as kubernetes:
        await kubernetes.define(service_monitors())
        with operator(plane, tmp_path) as running:
            await kubernetes.serve(NAMESPACE)

            async def monitored() -> bool:
                return (SERVICE_MONITOR.kind, "demo-engine") in await children(kubernetes, "demo")

            async def is_said() -> bool:
                condition = (await kubernetes.conditions(Key(NAMESPACE, "demo"))).get("MonitoringReady", {})
                return condition.get("status") == "False"

            await eventually(monitored)
            await kubernetes.undefine(service_monitors()["metadata"]["name"])
            await eventually(is_said)
            await served(kubernetes, "other")
            await kubernetes.define(service_monitors())
            await eventually(monitored)
            await running.says("tandem_operator_services", 2)


async def test_a_store_that_is_wiped_or_restored_is_followed(plane: ControlPlane, tmp_path: Path) -> None:
    with operator(plane, tmp_path) as running:
        async with speaking_to(plane) as kubernetes:
            await served(kubernetes, "early")
            plane.stop()
            shutil.copytree(plane.data, tmp_path / "copy")
            plane.start()
            await served(kubernetes, "late")
            for number in range(300):  # so that versions are far ahead of those of the copy
                await kubernetes.edit(LLM_SERVICE, Key(NAMESPACE, "early"), "early", annotated(number))
            await running.says("tandem_operator_services", 2)
        replace(plane, tmp_path / "copy")
        async with speaking_to(plane) as kubernetes:
            await running.says("tandem_operator_services", 1)
            await kubernetes.edit(LLM_SERVICE, Key(NAMESPACE, "early"), "early", {"spec": {"engine": {"replicas": 3}}})

            async def scaled() -> bool:
                deployment = (await children(kubernetes, "early"))["Deployment", "early-engine"]
                return deployment["spec"]["replicas"] == 3

            await eventually(scaled)
            await served(kubernetes, "late")
        replace(plane, None)
        async with speaking_to(plane) as kubernetes:
            await running.says("tandem_operator_undefined", 1)
            await running.says("tandem_operator_services", 0)
            await kubernetes.define(crd())
            await kubernetes.namespace(NAMESPACE)
            await served(kubernetes, "early")


def annotated(number: int) -> Object:
    return {"metadata": {"annotations": {"number": str(number)}}}


def replace(plane: ControlPlane, copy: Path | None) -> None:
    """Begin anew with another store, an empty one without a copy."""
    plane.stop()
    shutil.rmtree(plane.data)
    if copy:
        shutil.copytree(copy, plane.data)
    plane.start()


async def eventually_undefined(kubernetes: Kubernetes) -> None:
    async def gone() -> bool:
        return not await kubernetes.served(LLM_SERVICE.api_version)

    await eventually(gone)
