"""Several workers behind one port."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import time

import aiohttp
import pytest

from tests.engine_double import Reply
from tests.sockets.process import COMMAND, Process, environment, free_port, remove_what_is_left, serving
from tests.sockets.running import question, until

CHAT = "/v1/chat/completions"
WORKERS = 2


@asynccontextmanager
async def workers(engine, **variables):
    async with serving("--workers", str(WORKERS), VLLM_URL=engine.url, **variables) as running:
        await until(lambda: len(listening(running)) == WORKERS, 20)
        yield running


def listening(running: Process) -> set[int]:
    """The workers that take connections at the port."""
    port = f"{running.port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    sockets = {f"socket:[{line[9]}]" for line in lines if line[1].endswith(f":{port}") and line[3] == "0A"}
    return {pid for pid in running.workers() if sockets & open_files(pid)}


def open_files(pid: int) -> set[str]:
    try:
        return {str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:  # it has just ended
        return set()


def shared_folder_of(pid: int) -> Path:
    """Where the service of this process keeps what its workers share: it holds a lock in there."""
    opened = [descriptor.readlink() for descriptor in Path(f"/proc/{pid}/fd").iterdir()]
    (lock,) = [path for path in opened if path.name == "lock" and path.parent.name.startswith("tandem-")]
    return lock.parent


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def each_on_its_own_connection(running: Process, times: int, path: str = "/live") -> list[int]:
    """The statuses of answers; 0 where the connection did not come about."""
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(running.url, connector=connector) as client:

        async def status() -> int:
            try:
                async with client.get(path) as response:
                    return response.status
            except aiohttp.ClientConnectionError:
                return 0

        return await asyncio.gather(*(status() for _ in range(times)))


async def until_counted(running: Process, sample: str, value: float) -> None:
    found: list[float] = []
    try:
        async with asyncio.timeout(20):  # an answer that closes its connection arrives a moment before it is counted
            while value not in found:
                found.append((await running.metrics())[sample])
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"{sample} was {found}, not {value}")


async def reloaded_everywhere(running: Process, after: float) -> None:
    async with asyncio.timeout(10):  # of all workers the page shows the time of the one that is the furthest behind
        while (await running.metrics())["tandem_config_reload_timestamp_seconds"] <= after:  # noqa: ASYNC110 # another process
            await asyncio.sleep(0.02)


async def test_one_port_one_metrics_page_and_a_new_worker_for_one_that_dies(engine):
    async with workers(engine) as running:
        first = running.workers()
        assert len(first) == WORKERS
        answers = await each_on_its_own_connection(running, 32)
        assert answers == [200] * 32
        counted = 'request_latency_seconds_count{route="/live",status="200"}'
        await until_counted(running, counted, 32)

        engine.rule = lambda _: Reply(fault="hang")
        async with aiohttp.ClientSession(running.url) as client:
            streams = [await client.post(CHAT, json=question(stream=True)) for _ in range(8)]
            assert (await running.metrics())["tandem_requests_in_flight"] == 9
            os.kill(first[0], signal.SIGKILL)
            for stream in streams:
                stream.close()
        await until(lambda: len(listening(running) - {first[0]}) == WORKERS, 20)
        assert first[1] in running.workers()
        answers += await each_on_its_own_connection(running, 32)
        while answers[-32:].count(200) < 32:  # the kernel may hand a few more to the one that is gone
            answers += await each_on_its_own_connection(running, 32)

        await until_counted(running, counted, answers.count(200))  # what the dead worker had counted is kept
        metrics = await running.metrics()
        assert metrics["tandem_worker_restarts_total"] == 1
        assert metrics["tandem_requests_in_flight"] == 1, "those of the dead worker have ended with it"
        assert metrics["tandem_config_reload_success"] == 1

        asked = time()
        running.process.send_signal(signal.SIGHUP)
        await reloaded_everywhere(running, asked)
        running.terminate()
        code, lines = await running.ended()
    assert code == 0
    assert [line["event"] for line in lines].count("configuration taken") == WORKERS
    assert {line["exit_code"] for line in lines if line["event"] == "worker ended, it is started again"} == {-9}


async def test_every_worker_drains_its_streams_and_none_outlives_the_service(engine):
    engine.rule = lambda _: Reply(" ".join(["word"] * 20), between_pieces=0.05)
    async with workers(engine) as running:
        pids, folder = running.workers(), shared_folder_of(running.process.pid)
        assert folder.is_dir()
        async with aiohttp.ClientSession(running.url) as client:
            streams = [await client.post(CHAT, json=question(stream=True)) for _ in range(16)]
            running.terminate()
            await running.until_status("/ready", 503)
            assert await each_on_its_own_connection(running, 8, "/ready") == [503] * 8
            texts = await asyncio.gather(*(stream.text() for stream in streams))
        assert {text.count(" word") for text in texts} == {19}
        assert all(text.endswith("data: [DONE]\n\n") for text in texts)
        assert (await running.ended())[0] == 0
    assert not any(alive(pid) for pid in pids)
    assert not folder.exists()


async def test_workers_end_when_their_supervisor_is_killed(engine):
    async with workers(engine) as running:
        pids = running.workers()
        running.process.kill()
        await until(lambda: not any(alive(pid) for pid in pids), 10)


async def test_a_worker_ends_whose_supervisor_was_killed_before_it_began(engine):
    program = """
import os, signal, sys, time
from tandem_orchestrator import cli
from tandem_orchestrator.observability import prometheus
supervisor = os.getpid()
def begin(number):
    if number:
        sys.exit(0)
    os.kill(supervisor, signal.SIGKILL)
    while os.getppid() == supervisor:
        time.sleep(0.001)
prometheus.count_as_worker = begin
sys.exit(cli.main(["serve", "--host", "127.0.0.1", "--port", sys.argv[1], "--workers", "2"]))
"""
    command = [sys.executable, "-c", program, str(free_port())]
    process = await asyncio.create_subprocess_exec(
        *command, env=environment(VLLM_URL=engine.url), stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        async with asyncio.timeout(20):
            await process.communicate()  # ends with the last that holds it
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        remove_what_is_left()
    assert process.returncode == -signal.SIGKILL


async def test_workers_that_keep_dying_end_the_service(tmp_path):
    program = """
import sys
from tandem_contract.config import OrchestratorConfig
from tandem_orchestrator.process import supervisor
from tandem_orchestrator.config import Source
supervisor.BACKOFF_SECONDS = (0.0, 0.1)
config = OrchestratorConfig.model_validate({"upstreams": [{"name": "a", "url": "http://a"}], "server": {"workers": 2}})
sys.exit(supervisor.Supervisor(Source(), config, lambda number, config: sys.exit(7)).run())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        env=environment(PROMETHEUS_MULTIPROC_DIR=str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        out, _ = await process.communicate()
    assert process.returncode == 1
    assert b"giving up" in out


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_port_that_is_taken_is_said(workers):
    with socket.create_server(("127.0.0.1", 0)) as other:
        process = await asyncio.create_subprocess_exec(
            *(*COMMAND, "serve", "--host", "127.0.0.1", "--port", str(other.getsockname()[1]), "--workers", workers),
            env=environment(VLLM_URL="http://nowhere"),
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(20):
            _, complaint = await process.communicate()
    assert process.returncode == 1
    assert b"cannot listen at 127.0.0.1" in complaint
