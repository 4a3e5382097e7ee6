"""The real process: command line, start, drain."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import orjson

from tests.engine_double import Call, Reply
from tests.orchestrator.running import MATH_TOOL, question

COMMAND = [sys.executable, "-m", "tandem_orchestrator.cli"]


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}
    return {**kept, **variables}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    def __init__(self, process: asyncio.subprocess.Process, client: aiohttp.ClientSession) -> None:
        self.process = process
        self.client = client

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def status(self, path: str) -> int:
        """The status of a GET, 0 when the connection is refused."""
        try:
            async with self.client.get(path) as response:
                return response.status
        except aiohttp.ClientConnectionError:
            return 0

    async def until_status(self, path: str, status: int) -> None:
        async with asyncio.timeout(20):
            while await self.status(path) != status:  # noqa: ASYNC110 # another process
                await asyncio.sleep(0.02)

    async def ended(self) -> tuple[int, list[dict[str, object]]]:
        async with asyncio.timeout(20):
            out, _ = await self.process.communicate()
        return self.process.returncode or 0, [orjson.loads(line) for line in out.splitlines()]


@asynccontextmanager
async def serving(**variables: str) -> AsyncIterator[Process]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        "serve",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        env=environment(**variables),
        stdout=asyncio.subprocess.PIPE,
    )
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        running = Process(process, client)
        try:
            await running.until_status("/ready", 200)
            yield running
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()


async def test_an_open_stream_survives_sigterm(engine):
    words = " ".join(["word"] * 40)
    engine.replies.append(Reply(words, between_pieces=0.05))
    async with serving(VLLM_URL=f"{engine.url}/v1", TANDEM_DRAIN_SECONDS="15") as running:
        async with running.client.post("/v1/chat/completions", json=question(stream=True)) as response:
            await response.content.readline()
            running.terminate()
            await running.until_status("/ready", 503)
            await running.until_status("/ready", 0)
            text = (await response.read()).decode()
        assert text.count(" word") == 39
        assert text.endswith("data: [DONE]\n\n")
        code, lines = await running.ended()
    assert code == 0
    assert [line["status"] for line in lines if line.get("path") == "/v1/chat/completions"] == [200]


async def test_a_stream_beyond_the_drain_time_ends_in_an_error_event(engine):
    engine.replies.append(Reply(fault="hang"))
    async with serving(VLLM_URL=engine.url, TANDEM_DRAIN_SECONDS="1") as running:
        async with running.client.post("/v1/chat/completions", json=question(stream=True)) as response:
            await response.content.readline()
            running.terminate()
            text = (await response.read()).decode()
        assert '"code":"shutting_down"' in text
        assert "[DONE]" not in text
        assert (await running.ended())[0] == 0
    await engine.until(lambda: engine.seen[0].outcome == "left")


async def test_one_log_line_a_request_and_no_prompt_in_it(engine):
    secret = [{"role": "user", "content": "Calculate 12345 * 6789 for my secret"}]
    requests = [
        question(messages=secret, tools=[MATH_TOOL]),
        question(messages=secret, stream=True, stream_options={"include_usage": True}),
        question(messages=secret, model="unknown"),
        question(messages=secret),
    ]
    engine.replies += [
        Reply("", (Call("calculate_math", '{"expression": "12345 * 6789"}'),)),
        Reply(),
        Reply(),
        Reply(fault="cut"),
    ]
    async with serving(VLLM_URL=engine.url, TANDEM_TYPO="1", TANDEM_ROUTING__RETRIES="0") as running:
        for body in requests:
            async with running.client.post(
                "/v1/chat/completions", json=body, headers={"X-Request-Id": "r"}
            ) as response:
                await response.read()
        running.terminate()
        _, lines = await running.ended()
    assert [line["variable"] for line in lines if "variable" in line] == ["TANDEM_TYPO"]
    tools, stream, unknown, cut = [line for line in lines if line["event"] == "request"]
    assert {line["request_id"] for line in (tools, stream, unknown, cut)} == {"r"}
    assert (tools["method"], tools["path"], tools["status"]) == ("POST", "/v1/chat/completions", 200)
    assert (tools["model"], tools["tool_calls"]) == ("double", ["calculate_math:success"])
    assert tools["prompt_tokens"] == 28
    assert (stream["stream"], stream["completion_tokens"]) == (True, 14)
    assert (unknown["status"], unknown["error"]) == (404, "model_not_found")
    assert (cut["status"], cut["error"]) == (502, "engine_cut")
    assert "secret" not in str(lines)
    assert "12345" not in str(lines)
