"""Where the orchestrator listens: at every address of both families, so that any cluster's pods and probes reach it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.engine_double import EngineDouble
from tests.sockets.process import COMMAND, environment, free_port
from tests.sockets.running import config_for

pytestmark = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")


@asynccontextmanager
async def listening(*arguments: str, **variables: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(*COMMAND, "serve", *arguments),
        env=environment(**variables),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def status(client: aiohttp.ClientSession, url: str) -> int:
    """The status of a GET, 0 when the connection is refused."""
    try:
        async with client.get(url) as response:
            return response.status
    except aiohttp.ClientConnectionError:
        return 0


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_both_ports_are_open_in_both_families(engine, workers):
    port, metrics_port = free_port(), free_port()
    variables = {"VLLM_URL": engine.url, "TANDEM_SERVER__METRICS_PORT": str(metrics_port)}
    async with listening("--port", str(port), "--workers", workers, **variables), aiohttp.ClientSession() as client:
        async with asyncio.timeout(20):
            for host in ("127.0.0.1", "[::1]"):
                for place in (f"{host}:{port}/ready", f"{host}:{metrics_port}/metrics"):
                    while await status(client, f"http://{place}") != 200:  # noqa: ASYNC110 # another process
                        await asyncio.sleep(0.02)
        assert await status(client, f"http://[::1]:{port}/metrics") == 404, "metrics have their own port"


async def test_a_host_is_the_only_one(engine):
    port = free_port()
    async with (
        listening("--host", "::1", "--port", str(port), VLLM_URL=engine.url),
        aiohttp.ClientSession() as client,
    ):
        async with asyncio.timeout(20):
            while await status(client, f"http://[::1]:{port}/live") != 200:  # noqa: ASYNC110 # another process
                await asyncio.sleep(0.02)
        assert await status(client, f"http://127.0.0.1:{port}/live") == 0


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")])
async def test_a_port_that_is_taken_in_either_family_is_named(engine, family, host):
    with socket.socket(family) as taken:
        if family == socket.AF_INET6:
            taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        taken.bind((host, 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with asyncio.timeout(20), listening("--port", str(port), VLLM_URL=engine.url) as process:
            _, told = await process.communicate()
    assert process.returncode == 1
    assert told.decode() == f"cannot listen at {host}, port {port}: Address already in use\n"


@pytest.mark.parametrize("discovery", ["none", "dns"])
async def test_an_engine_at_an_ipv6_address_is_reached_and_named_as_in_a_url(serve, discovery):
    async with EngineDouble(host="::1") as engine:
        upstream = {"name": "engine", "url": engine.url, "model": engine.model, "discovery": discovery}
        orchestrator = await serve(config_for(upstreams=[upstream]))
        assert (await orchestrator.chat())[0] == 200
        assert engine.seen[0].headers["host"] == f"[::1]:{engine.port}"
        (replica,) = (await orchestrator.get("/health"))[1]["upstreams"][0]["replicas"]
        assert replica["address"] == f"[::1]:{engine.port}"
