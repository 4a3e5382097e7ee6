"""CPU time of one server-side apply: the official client's typed models, its connection alone, and bare aiohttp.

    .venv/bin/python -m bench.apply_client [CALLS]

Starts its own etcd and kube-apiserver. What counts is the CPU time of this process: an operator's wall time is spent
waiting for the API server.
"""

import asyncio
import json
import platform
import ssl
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import aiohttp
import uvloop
from kubernetes.aio.client import AppsV1Api
from kubernetes.aio.client import __version__ as kubernetes_version
from tandem_operator import manifests
from tandem_operator.api.llmservice import LLMService
from tandem_operator.kube.api import Api, connected
from tandem_operator.kube.difference import MANAGER
from tandem_operator.kube.resources import Object

from hack.cluster.control_plane import ControlPlane

AT_ONCE: Final = 8
ROUNDS: Final = 5
PATH: Final = "/apis/apps/v1/namespaces/default/deployments"

Apply = Callable[[Object], Awaitable[object]]


def deployment() -> Object:
    """Return the engine's Deployment, as the operator applies it."""
    service = LLMService(metadata={"name": "bench"}, spec={"model": {"source": "hf://org/model"}})
    wanted = manifests.build(service, manifests.Platform())
    return next(item for item in wanted if item["kind"] == "Deployment")


async def measure(apply: Apply, calls: int) -> float:
    """Return microseconds of this process' CPU for one call."""
    base = deployment()
    numbers = iter(range(calls))

    async def work(worker: int) -> None:
        for number in numbers:
            name = f"bench-{worker}"
            metadata = {**base["metadata"], "name": name, "annotations": {"bench": f"{number}-{time.time_ns()}"}}
            await apply({**base, "metadata": metadata})

    begun = time.process_time()
    await asyncio.gather(*(work(worker) for worker in range(AT_ONCE)))
    return (time.process_time() - begun) / calls * 1e6


async def compare(kubeconfig: str, calls: int) -> dict[str, list[float]]:
    async with connected(kubeconfig) as client:
        typed_api, api, host = AppsV1Api(client), Api(client), client.configuration.host
        context = ssl.create_default_context(cafile=client.configuration.ssl_ca_cert)
        context.load_cert_chain(client.configuration.cert_file, client.configuration.key_file)
        connector = aiohttp.TCPConnector(limit=AT_ONCE, ssl=context)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def typed(manifest: Object) -> object:
                return await typed_api.patch_namespaced_deployment(
                    manifest["metadata"]["name"],
                    "default",
                    manifest,
                    field_manager=MANAGER,
                    force=True,
                    _content_type="application/apply-patch+yaml",
                )

            async def plain(manifest: Object) -> object:
                return await api.apply(manifest, MANAGER)

            async def bare(manifest: Object) -> object:
                url = f"{host}{PATH}/{manifest['metadata']['name']}?fieldManager={MANAGER}&force=true"
                headers = {"Content-Type": "application/apply-patch+yaml"}
                async with session.patch(url, data=json.dumps(manifest), headers=headers) as answer:
                    answer.raise_for_status()
                    return json.loads(await answer.read())

            variants = {
                "official, typed models": typed,
                "official connection, dictionaries": plain,
                "bare aiohttp": bare,
            }
            results: dict[str, list[float]] = {name: [] for name in variants}
            for apply in variants.values():
                await measure(apply, AT_ONCE)
            for _ in range(ROUNDS):  # turn and turn about, so that a busy machine harms all alike
                for name, apply in variants.items():
                    results[name].append(await measure(apply, calls))
            return results


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    with tempfile.TemporaryDirectory() as folder:
        control_plane = ControlPlane(Path(folder))
        try:
            kubeconfig = str(control_plane.start())
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                results = runner.run(compare(kubeconfig, calls))
        finally:
            control_plane.stop()
    print(f"Python {platform.python_version()}, aiohttp {aiohttp.__version__}, kubernetes {kubernetes_version}")
    print(
        f"{ROUNDS} x {calls} calls each, {AT_ONCE} at once, one Deployment of {len(json.dumps(deployment()))} bytes\n"
    )
    print("| client | CPU µs a call, median | least-most | calls per CPU second |\n| --- | ---: | ---: | ---: |")
    for name, values in results.items():
        median = sorted(values)[len(values) // 2]
        print(f"| {name} | {median:.0f} | {min(values):.0f}-{max(values):.0f} | {1e6 / median:.0f} |")


if __name__ == "__main__":
    main()
