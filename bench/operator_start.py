"""What the operator's start costs: time, CPU, memory and writes until it has looked at every service.

    .venv/bin/python -m bench.operator_start [SERVICES ...]

Starts its own etcd and kube-apiserver, has an operator build that many services, and starts it anew. There is no node,
so no pods. On a machine that does other work as well, CPU time is the figure to trust.
"""

import asyncio
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import aiohttp
import yaml
from tandem_operator.api.schema import crd
from tandem_operator.kube.api import Api, connected
from tandem_operator.kube.resources import LLM_SERVICE

from bench.load import Address
from bench.processes import Process, free_port
from hack.cluster.control_plane import ControlPlane
from hack.cluster.kubectl import Kubectl

SERVICES: Final = (300, 1000)
NAMESPACE: Final = "bench"
AT_ONCE: Final = 8
LONGEST_SECONDS: Final = 1800.0
PROGRAM: Final = "from tandem_operator.cli import main; raise SystemExit(main())"
HEADER: Final = """| services | the operator | s | CPU s | writes | memory, MB | at most, MB |
| ---: | --- | ---: | ---: | ---: | ---: | ---: |"""


@dataclass(frozen=True)
class Cost:
    """What a start took."""

    seconds: float
    cpu_seconds: float
    writes: int
    megabytes: float
    most_megabytes: float

    def row(self, services: int, what: str) -> str:
        memory = f"{self.megabytes:.0f} | {self.most_megabytes:.0f}"
        return f"| {services} | {what} | {self.seconds:.1f} | {self.cpu_seconds:.1f} | {self.writes} | {memory} |"


def define(control_plane: ControlPlane) -> None:
    kubectl = Kubectl(control_plane.kubeconfig)
    kubectl("apply", "--server-side", "--filename=-", text=yaml.safe_dump(crd()))
    kubectl("wait", "--for=condition=Established", f"crd/{crd()['metadata']['name']}")
    kubectl("create", "namespace", NAMESPACE)


async def serve(api: Api, first: int, last: int) -> None:
    """Create the services with these numbers, the last excluded."""
    numbers = iter(range(first, last))

    async def work() -> None:
        for number in numbers:
            head = {"apiVersion": LLM_SERVICE.api_version, "kind": LLM_SERVICE.kind}
            metadata = {"name": f"service-{number}", "namespace": NAMESPACE}
            await api.create({**head, "metadata": metadata, "spec": {"model": {"source": "hf://org/model"}}})

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


@contextmanager
def operator(kubeconfig: Path, log: Path) -> Iterator[Process]:
    port = free_port()
    command = [sys.executable, "-c", PROGRAM, "run", f"--metrics-port={port}"]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    with log.open("ab") as output:
        started = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        yield Process("operator", started.pid, Address("127.0.0.1", port))
    finally:
        started.terminate()
        started.wait()


async def start(kubeconfig: Path, log: Path, services: int) -> Cost:
    """Return the cost of a start until every service was reconciled and none is left to be."""
    begun = time.monotonic()
    with operator(kubeconfig, log) as process:
        while time.monotonic() < begun + LONGEST_SECONDS:
            figures = await metrics(process.address.port)
            looked_at = figures.get('tandem_operator_reconciles_total{result="ok"}', 0) >= services
            if looked_at and not figures["tandem_operator_queue_depth"]:
                writes = sum(
                    value for name, value in figures.items() if name.startswith("tandem_operator_writes_total")
                )
                return Cost(time.monotonic() - begun, process.cpu_seconds(), int(writes), *memory(process.pid))
            await asyncio.sleep(0.25)
        raise TimeoutError(f"not done after {LONGEST_SECONDS} s; see {log}")


async def metrics(port: int) -> dict[str, float]:
    """Return what /metrics says; nothing before it is served."""
    try:
        async with aiohttp.request("GET", f"http://127.0.0.1:{port}/metrics") as answer:
            lines = (await answer.text()).splitlines()
    except aiohttp.ClientError:
        return {}
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def memory(pid: int) -> tuple[float, float]:
    """Return megabytes (of 1,000,000 bytes) that are resident now, and that were at most."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    now, most = (int(lines[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))
    return now, most


async def compare(control_plane: ControlPlane, log: Path, sizes: list[int]) -> None:
    present = 0
    async with connected(str(control_plane.kubeconfig)) as client:
        for services in sizes:
            await serve(Api(client), present, services)
            for what in ("builds them" if not present else f"builds {services - present} of them", "starts anew"):
                cost = await start(control_plane.kubeconfig, log, services)
                print(cost.row(services, what), flush=True)
            present = services


def main() -> None:
    sizes = sorted(map(int, sys.argv[1:])) or list(SERVICES)
    print(f"Python {platform.python_version()}, kopf {version('kopf')}\n\n{HEADER}")
    with tempfile.TemporaryDirectory() as folder:
        control_plane = ControlPlane(Path(folder))
        try:
            control_plane.start()
            define(control_plane)
            asyncio.run(compare(control_plane, Path(folder) / "log", sizes))
        finally:
            control_plane.stop()


if __name__ == "__main__":
    main()
