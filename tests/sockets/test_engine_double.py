"""The double as a process of its own, as benches and cluster tests use it."""

import asyncio
import sys

import aiohttp
import pytest

from tests.sockets.running import question


@pytest.fixture
async def double():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.engine_double", "--port", "0", "--api-key", "k", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    async with asyncio.timeout(20):
        line = (await process.stdout.readline()).decode()
    async with aiohttp.ClientSession(line.split()[-1], headers={"Authorization": "Bearer k"}) as client:
        yield client
    process.kill()
    await process.communicate()


async def test_it_takes_scripts_and_tells_its_load(double):
    script = [{"text": "Scripted.", "before_first_byte": 0.01}, {"status": 429}]
    async with double.post("/control/replies", json=script) as response:
        assert response.status == 200
    async with double.post("/v1/chat/completions", json=question()) as response:
        assert (await response.json())["choices"][0]["message"]["content"] == "Scripted."
    async with double.post("/v1/chat/completions", json=question()) as response:
        assert response.status == 429
    async with double.post("/v1/chat/completions", json=question(double={"fault": "wrong_type"})) as response:
        assert response.content_type == "text/html"
    async with double.post("/v1/chat/completions", json=question(), headers={"Authorization": "Bearer x"}) as response:
        assert response.status == 401
    async with double.get("/metrics") as response:
        assert 'vllm:num_requests_running{engine="0",model_name="double"} 0' in await response.text()
    async with double.get("/health") as response:
        assert response.status == 200
