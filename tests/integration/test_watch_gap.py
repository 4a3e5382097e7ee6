"""What changes while the operator does not hear from the API server, which has begun anew meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from tandem_operator.api.schema import crd
from tandem_operator.kube.api import connected
from tandem_operator.kube.resources import LLM_SERVICE, POD, Object
from tandem_operator.kube.store import Key

from hack.cluster.control_plane import ControlPlane
from tests.integration.cluster import Kubernetes, by_kind, eventually
from tests.integration.conftest import running_operator
from tests.integration.test_reconcile import owned

START_ANEW = 20.0
"""How long it takes Kubernetes to start a process that has ended, and that to find that it still has the Lease."""
GAPS = (5.0, 35.0, 100.0)
RESYNC = 5.0
RECONNECT = 10.0
"""The longest pause between two attempts to reach the API server, and some time for a machine that is shared."""


@pytest.fixture
def control_plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """One of our own: it is stopped and started."""
    plane = ControlPlane(tmp_path)
    plane.start()
    yield plane
    plane.stop()


class Line:
    """The operator's way to the API server, which can be cut."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_cut = False

    @asynccontextmanager
    async def laid(self, kubeconfig: Path, copy: Path) -> AsyncIterator[Path]:
        """Write a kubeconfig that leads through here."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        rerouted = kubeconfig.read_text().replace(f":{self._target.port}", f":{port}")  # noqa: ASYNC240
        copy.write_text(rerouted)  # noqa: ASYNC240
        yield copy
        self.cut()
        server.close()

    def cut(self) -> None:
        self._is_cut = True
        for writer in self._writers:
            writer.close()

    def mend(self) -> None:
        self._is_cut = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.close()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, far_writer}
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        self._writers -= {writer, far_writer}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


class Gap:
    """One operator and its namespace, whose news are cut off for some seconds."""

    def __init__(self, kubernetes: Kubernetes, operator: running_operator, line: Line, namespace: str) -> None:
        self.kubernetes, self.operator, self.line, self.namespace = kubernetes, operator, line, namespace
        self.key, self.gone, self.again, self.new = (Key(namespace, name) for name in ("demo", "gone", "again", "new"))

    async def build(self) -> None:
        for key in (self.key, self.gone, self.again):
            await self.kubernetes.serve(*key)
        for key in (self.key, self.gone, self.again):
            await eventually(partial(self.is_built, key))
        await self.kubernetes.create(stuck_pod(self.namespace))
        await self.kubernetes.edit(POD, self.key, "demo-engine-0", {"status": STUCK}, "status")
        await eventually(partial(self.is_stalled, "True"))

    async def change(self) -> None:
        """Do what the operator cannot see; Kubernetes has not yet collected what the deleted services leave behind."""
        for key in (self.gone, self.again):
            await self._delete(LLM_SERVICE.kind, key.name)
        for item in await self.kubernetes.objects(self.again):
            await self.kubernetes.delete(item)
        await self.kubernetes.serve(*self.again)
        await self.kubernetes.serve(*self.new)
        await self._delete("Service", "demo")
        await self._delete("Pod", "demo-engine-0")
        patch = {"spec": {"engine": {"extraArgs": ["--max-num-seqs=3"]}}}
        await self.kubernetes.edit(LLM_SERVICE, self.key, "demo", patch)

    async def collect(self) -> None:
        """Delete what the deleted service left behind, as Kubernetes does."""
        for item in await self.kubernetes.objects(self.gone):
            await self.kubernetes.delete(item)

    async def put_right(self, deadline: float) -> list[str]:
        """Wait until what the gap hid is seen and done, and return what is not so at the deadline."""
        while True:
            wrong = await self.wrong()
            if not wrong or time.monotonic() > deadline:
                return wrong
            await asyncio.sleep(0.2)

    async def wrong(self) -> list[str]:
        known = await figure(self.operator, "tandem_operator_services")
        holds = {
            "a deleted child is back": await self.is_repaired(),
            "an edit is applied": await self.is_applied(),
            "a deleted pod is out of the status": await self.is_stalled("False"),
            "a service made anew has children of its own": await self.is_built(self.again),
            "a new service is built": await self.is_built(self.new),
            f"of three services three are known: {known}": known == 3,
            "a service that is gone has no children": not await self.kubernetes.objects(self.gone),
        }
        return [what for what, so in holds.items() if not so]

    async def is_built(self, key: Key) -> bool:
        service = await self.kubernetes.get(LLM_SERVICE, *key)
        assert service
        children = owned(await self.kubernetes.objects(key)).values()
        owners = {owner["uid"] for item in children for owner in item["metadata"]["ownerReferences"]}
        return len(children) >= 12 and owners == {service["metadata"]["uid"]} and "status" in service

    async def is_stalled(self, status: str) -> bool:
        return (await self.kubernetes.conditions(self.key)).get("Stalled", {}).get("status") == status

    async def is_repaired(self) -> bool:
        return await self.kubernetes.get(by_kind("Service"), self.namespace, "demo") is not None

    async def is_applied(self) -> bool:
        deployment = await self.kubernetes.get(by_kind("Deployment"), self.namespace, "demo-engine")
        return "--max-num-seqs=3" in str(deployment)

    async def counts_three(self) -> bool:
        return await figure(self.operator, "tandem_operator_services") == 3

    async def _delete(self, kind: str, name: str) -> None:
        resource = LLM_SERVICE if kind == LLM_SERVICE.kind else by_kind(kind)
        item = await self.kubernetes.get(resource, self.namespace, name)
        assert item
        await self.kubernetes.delete(item)


ENGINE = {"name": "engine", "image": "nowhere/image", "imageID": "", "ready": False, "restartCount": 0}
STUCK = {
    "containerStatuses": [
        {**ENGINE, "state": {"waiting": {"reason": "ImagePullBackOff", "message": "nowhere/image: not found"}}}
    ]
}


def stuck_pod(namespace: str) -> Object:
    labels = {"tandem.dev/llmservice": "demo", "tandem.dev/tier": "engine"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "demo-engine-0", "namespace": namespace, "labels": labels},
        "spec": {
            "containers": [{"name": "engine", "image": "nowhere/image"}],
            "automountServiceAccountToken": False,
            "serviceAccountName": "demo-engine",
        },
    }


async def figure(operator: running_operator, name: str) -> float | None:
    try:
        async with aiohttp.request("GET", f"http://127.0.0.1:{operator.port}/metrics") as answer:
            lines = (await answer.text()).splitlines()
    except aiohttp.ClientError:
        return None
    return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), None)


async def revived(operator: running_operator) -> None:
    """Start the operator's process again whenever it ends, as Kubernetes does."""
    while True:
        if operator.process.poll() is not None:
            operator.__enter__()
        await asyncio.sleep(0.5)


async def test_what_happens_while_nothing_is_heard_is_known_within_a_resync(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        kubernetes = Kubernetes(await stack.enter_async_context(connected(str(control_plane.kubeconfig))))
        await kubernetes.define(crd())
        gaps: list[tuple[float, bool, Gap]] = []
        for seconds in GAPS:
            for elects in (False, True):
                namespace = await kubernetes.namespace(f"gap-{seconds:.0f}-{'elected' if elects else 'alone'}")
                line = Line(control_plane.url)
                path = await stack.enter_async_context(line.laid(control_plane.kubeconfig, tmp_path / namespace))
                options = ("--leader-elect", f"--lease-namespace={namespace}") if elects else ()
                operator = running_operator(control_plane, tmp_path / f"{namespace}.log", namespace, *options)
                operator.environment["KUBECONFIG"] = str(path)
                operator.__enter__()
                stack.push_async_callback(asyncio.to_thread, operator.__exit__)  # it needs the line until it ends
                gaps.append((seconds, elects, Gap(kubernetes, operator, line, namespace)))
        await asyncio.gather(*(gap.build() for *_, gap in gaps))

        begun = time.monotonic()
        processes = {gap.namespace: gap.operator.process.pid for *_, gap in gaps}
        for *_, gap in gaps:
            gap.line.cut()
        await asyncio.to_thread(control_plane.processes.stop, "kube-apiserver")
        await asyncio.to_thread(control_plane.start)

        async def pass_through(seconds: float, gap: Gap, *, elects: bool) -> tuple[list[str], float]:
            keeper = asyncio.create_task(revived(gap.operator)) if elects else None
            await gap.change()
            await asyncio.sleep(begun + seconds - time.monotonic())  # the gap is what is tested
            gap.line.mend()
            mended = time.monotonic()
            await gap.collect()
            wrong = await gap.put_right(mended + RECONNECT + RESYNC + (START_ANEW if elects else 0))
            if keeper:
                keeper.cancel()
            elif gap.operator.process.poll() is not None or gap.operator.process.pid != processes[gap.namespace]:
                wrong.append("the process goes on")
            return wrong, round(time.monotonic() - mended, 1)

        outcomes = await asyncio.gather(*(pass_through(seconds, gap, elects=elects) for seconds, elects, gap in gaps))
        report = {gap.namespace: outcome for (*_, gap), outcome in zip(gaps, outcomes, strict=True)}
        assert not any(wrong for wrong, _ in outcomes), report
