"""Several workers behind one port: each has the keys of the issuers."""

import asyncio

import aiohttp
import yaml

from tests.sockets.process import serving
from tests.sockets.running import question


async def test_each_worker_knows_the_keys(engine, issuer, tmp_path):
    file = tmp_path / "config.yaml"
    upstreams = [{"name": "engine", "url": engine.url, "model": engine.model}]
    settings = {"upstreams": upstreams, "server": {"workers": 2}, "oidc": {"issuers": [issuer.settings()]}}
    file.write_text(yaml.safe_dump(settings))
    token = issuer.sign()
    async with (
        serving("--config", str(file)) as running,
        aiohttp.ClientSession(
            running.url,
            connector=aiohttp.TCPConnector(force_close=True),
            headers={"authorization": f"Bearer {token}"},
        ) as client,
    ):
        async with asyncio.timeout(20):
            while issuer.fetches < 2:  # noqa: ASYNC110 # of another process
                await asyncio.sleep(0.02)

        async def status() -> int:
            async with client.post("/v1/chat/completions", json=question()) as response:
                return response.status

        async with asyncio.timeout(20):
            while await status() != 200:  # noqa: ASYNC110 # as above
                await asyncio.sleep(0.02)
        assert set(await asyncio.gather(*(status() for _ in range(20)))) <= {200, 503}
        async with client.get("/metrics") as response:
            metrics = await response.text()
    assert f'tandem_oidc_keys{{issuer="{issuer.url}"}} 1.0' in metrics
