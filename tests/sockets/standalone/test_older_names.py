"""A process that is started with older variables, or an older file, does what they say, and tells the newer names."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import yaml

from tests.sockets.process import COMMAND, Process, environment, free_port, serving
from tests.sockets.running import question

CHAT = "/v1/chat/completions"


async def asked(client, key):
    async with client.post(CHAT, json=question(), headers={"authorization": f"Bearer {key}"}) as response:
        return response.status


async def test_older_variables_act(engine):
    older = {
        "VLLM_BASE_URL": engine.url,
        "LLM_BACKEND": "vllm",
        "MODEL_ID": engine.model,
        "STACK_API_KEYS": "one,two",
        "GLOBAL_REQUESTS_PER_MINUTE": "1",
        "ENABLE_RATE_LIMITING": "false",
        "ENABLE_METRICS": "false",
        "ENABLE_DB_MONITORING": "true",
        "REDIS_DEFAULT_TTL": "3600",
        "DATABASE_POOL_SIZE": "2",
        "DATABASE_MAX_OVERFLOW": "0",
    }
    async with serving(**older) as running:
        assert [await asked(running.client, key) for key in ("one", "two", "one", "three")] == [200, 200, 200, 401]
        async with running.client.get("/metrics", headers={"authorization": "Bearer one"}) as response:
            assert response.status == 404
            assert "standalone.metrics" in await response.text()
        running.terminate()
        _, lines = await running.ended()
    notes = {str(line["note"]).partition(" ")[0]: line["level"] for line in lines if "note" in line}
    assert notes == dict.fromkeys(older.keys() - {"MODEL_ID", "REDIS_DEFAULT_TTL"}, "info")
    (warning,) = (line for line in lines if line["event"] == "older name" and "warning" in line)
    assert (warning["level"], str(warning["warning"]).partition(" ")[0]) == ("warning", "REDIS_DEFAULT_TTL")


async def test_metrics_are_told_and_limits_hold_where_they_are_wanted(engine):
    older = {"ENABLE_METRICS": "true", "ENABLE_RATE_LIMITING": "true", "GLOBAL_REQUESTS_PER_MINUTE": "1"}
    async with serving(VLLM_URL=engine.url, STACK_API_KEYS="one", **older) as running:
        assert [await asked(running.client, "one") for _ in range(2)] == [200, 429]
        async with running.client.get("/metrics", headers={"authorization": "Bearer one"}) as response:
            assert response.status == 200


async def test_logs_are_lines_for_people_without_colours(engine):
    async with served("serve", "--host=127.0.0.1", VLLM_URL=engine.url, JSON_LOGS="false") as running:
        assert await asked(running.client, "any") == 200
        running.terminate()
        out, _ = await running.process.communicate()
    text = out.decode()
    assert "JSON_LOGS is read as logging.format (TANDEM_LOGGING__FORMAT)" in text
    (request,) = (line for line in text.splitlines() if f"path={CHAT!r}" in line)
    assert "status=200" in request
    assert "\x1b" not in text


async def test_an_older_file_acts_its_address_included(engine, tmp_path):
    port = free_port()
    file = tmp_path / "config.yaml"
    older = {
        "server": {"host": "127.0.0.1", "port": port, "workers": 1},
        "vllm": {"base_url": engine.url, "timeout": 300, "max_retries": 3},
        "security": {"require_api_key": True, "api_keys": ["one"]},
        "rate_limiting": {"enable": True, "global_rpm": 1},
        "monitoring": {"enable_metrics": False},
    }
    file.write_text(yaml.safe_dump(older))
    async with served("serve", "--config", str(file), port=port) as running:
        assert [await asked(running.client, key) for key in ("one", "one", "two")] == [200, 429, 401]
        assert await running.status("/metrics") == 404
        running.terminate()
        _, lines = await running.ended()
    assert "vllm.base_url is read as upstreams.0.url" in [line.get("note") for line in lines]
    (serving_at,) = (line for line in lines if line["event"] == "serving")
    assert (serving_at["host"], serving_at["port"]) == ("127.0.0.1", port)


@asynccontextmanager
async def served(*arguments, port=None, **variables):
    """A process whose port may stand in its file, else in a variable."""
    if port is None:
        port = free_port()
        variables["TANDEM_STANDALONE__PORT"] = str(port)
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, env=environment(**variables), stdout=asyncio.subprocess.PIPE
    )
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        running = Process(process, port, client)
        try:
            await running.until_status("/ready", 200)
            yield running
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
