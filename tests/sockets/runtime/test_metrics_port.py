"""server.metricsPort: metrics and the details of health at a port that clients do not reach."""

import asyncio
import json
import os
import signal
import ssl
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.engine_double import tool_calling
from tests.sockets.process import COMMAND, environment, free_port, serving
from tests.sockets.running import question
from tests.sockets.surface.test_tls import Files

CHAT = "/v1/chat/completions"


@asynccontextmanager
async def two_ports(engine, *arguments, **variables):
    """A serving process, and a client of its port for metrics."""
    port = free_port()
    variables = {"API_KEYS": "right", "VLLM_URL": engine.url, **variables}
    async with (
        serving(*arguments, TANDEM_SERVER__METRICS_PORT=str(port), **variables) as running,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as inside,
    ):
        yield running, inside


async def answer(client, path, method="GET", **options):
    async with client.request(method, path, **options) as response:
        return response.status, await response.text()


@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=["one process", "workers"])
async def test_those_who_run_the_service_are_told_all_at_a_port_of_its_own(engine, arguments):
    async with two_ports(engine, *arguments) as (running, inside):
        for _ in range(4):
            async with aiohttp.ClientSession(inside._base_url) as each:  # a worker each, or the same one
                status, metrics = await answer(each, "/metrics")
                assert status == 200
                assert "tandem_upstream_ready" in metrics
                assert engine.url in (await answer(each, "/health"))[1]
                assert '"degraded":[]' in (await answer(each, "/ready"))[1]
                assert '"tool_calling":[]' in (await answer(each, "/ready?tool_calling=nothing"))[1]
                assert (await answer(each, "/live"))[0] == 200
        assert await answer(running.client, "/ready") == (200, '{"status":"ready"}')
        assert await answer(running.client, "/health") == (200, '{"status":"ok"}')
        running.terminate()
        assert (await running.ended())[0] == 0


async def test_neither_port_does_the_others_work(engine):
    async with two_ports(engine) as (running, inside):
        key = {"authorization": "Bearer right"}
        for path in ("/metrics", "/%6detrics"):
            status, text = await answer(running.client, path, headers=key)
            assert (status, '"code":"not_found"' in text) == (404, True)
        for method, path in (("POST", CHAT), ("POST", "/chat"), ("GET", "/v1/models"), ("GET", "/docs")):
            body = {"json": question()} if method == "POST" else {}
            status, text = await answer(inside, path, method, headers=key, **body)
            assert (status, '"code":"not_found"' in text) == (404, True), path
        assert not engine.seen
        assert (await answer(running.client, CHAT, "POST", headers=key, json=question()))[0] == 200
        host = {"host": str(inside._base_url.authority)}  # a forged one makes no other port of it
        assert await answer(running.client, "/health", headers=host) == (200, '{"status":"ok"}')


async def test_one_of_several_workers_asks_an_engine_whether_it_calls_tools(engine):
    engine.rule = tool_calling.well
    async with two_ports(engine, "--workers", "2") as (_, inside):

        async def verified():
            async with aiohttp.ClientSession(inside._base_url) as each:  # a worker each, or the same one
                ready = json.loads((await answer(each, "/ready?tool_calling=engine"))[1])
            return [entry["verified"] for entry in ready["tool_calling"]] == [True]

        async with asyncio.timeout(20):
            while not await verified():  # noqa: ASYNC110 # another process
                await asyncio.sleep(0.02)
        assert [await verified() for _ in range(16)] == [True] * 16
        assert len(engine.seen) == 3


async def test_a_worker_that_dies_takes_no_port_along(engine):
    async with two_ports(engine, "--workers", "2") as (running, inside):
        (pid, *_) = running.workers()
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(20):
            while "tandem_worker_restarts_total 1.0" not in await page(inside):  # noqa: ASYNC110 # another process
                await asyncio.sleep(0.02)


async def page(inside):
    try:
        return (await answer(inside, "/metrics"))[1]
    except aiohttp.ClientConnectionError:
        return ""


async def test_both_ports_speak_tls(engine, tmp_path):
    files = Files(tmp_path)
    files.renew()
    tls = f"{{certificate: {{file: {files.certificate}}}, key: {{file: {files.key}}}}}"
    port, metrics_port = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("serve", "--host", "127.0.0.1", "--port", str(port)),
        env=environment(VLLM_URL=engine.url, TANDEM_SERVER__TLS=tls, TANDEM_SERVER__METRICS_PORT=str(metrics_port)),
        stdout=asyncio.subprocess.DEVNULL,
    )
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(20), aiohttp.ClientSession(f"https://127.0.0.1:{metrics_port}") as inside:
            while True:
                try:
                    status, text = await answer(inside, "/metrics", ssl=context)
                    break
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.02)
        assert (status, "tandem_upstream_ready" in text) == (200, True)
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_the_apis_own_port_cannot_be_it(engine, workers):
    port = str(free_port())
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("serve", "--host", "127.0.0.1", "--port", port, "--workers", workers),
        env=environment(VLLM_URL=engine.url, TANDEM_SERVER__METRICS_PORT=port),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await process.communicate()
    assert process.returncode == 1
    assert told.decode() == f"server.metricsPort: {port} is the API's port\n"
