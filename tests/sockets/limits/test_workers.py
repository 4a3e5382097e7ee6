"""Limits that worker processes share through memory: real processes, at full speed against each other."""

import asyncio
import sys
from collections import Counter
from time import time
from typing import Any

import aiohttp
import pytest

from tests.sockets.limits.worker import LIMITS
from tests.sockets.process import serving
from tests.sockets.running import question

WORKERS = 2


async def start(*arguments: object) -> Any:
    command = (sys.executable, "-m", "tests.sockets.limits.worker", *map(str, arguments))
    return await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)


@pytest.mark.parametrize("kind", LIMITS)
async def test_processes_at_once_admit_exactly_the_limit(tmp_path, kind):
    processes = [await start(tmp_path / "limits", number, WORKERS, kind) for number in range(WORKERS)]
    for process in processes:
        assert await process.stdout.readline() == b"ready\n"
    for process in processes:
        process.stdin.write(f"{time() + 0.1}\n".encode())
    admitted = [int(await process.stdout.readline()) for process in processes]
    for process in processes:
        process.stdin.close()
        assert await process.wait() == 0
    assert sum(admitted) == LIMITS[kind]


async def test_a_server_with_workers_has_one_set_of_limits(engine):
    limits = {"TANDEM_RATE_LIMITS__REQUESTS_PER_MINUTE": "20"}
    async with serving("--workers", str(WORKERS), VLLM_URL=engine.url, **limits) as running:
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(running.url, connector=connector) as client:

            async def status() -> int:
                async with client.post("/v1/chat/completions", json=question()) as response:
                    return response.status

            statuses = await asyncio.gather(*(status() for _ in range(60)))
        refused = (await running.metrics())[
            'tandem_limited_requests_total{level="service",limit="requests per minute"}'
        ]
    assert Counter(statuses) == {200: 20, 429: 40}
    assert refused == 40
