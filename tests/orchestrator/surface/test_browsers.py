"""Web pages of other origins, and forged hosts."""

import pytest

from tests.orchestrator.running import config_for, question
from tests.orchestrator.surface.asking import CHAT

PAGE = "https://chat.example.com"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


@pytest.mark.parametrize("origins", [[PAGE], ["*"]])
async def test_pages_of_allowed_origins_may_ask(serve, engine, origins):
    orchestrator = await serve(
        config_for(engine, server={"cors": {"allowOrigins": origins}}, keys={"values": ["right"]})
    )
    async with orchestrator.client.options(CHAT, headers=PREFLIGHT) as response:
        assert response.status == 200
        assert response.headers["access-control-allow-origin"] == origins[0]
        assert "authorization" in response.headers["access-control-allow-headers"].lower()
        assert response.headers["access-control-max-age"] == "600"
    for headers, status in (({"Authorization": "Bearer right"}, 200), ({}, 401)):
        async with orchestrator.client.post(CHAT, json=question(), headers={"Origin": PAGE, **headers}) as response:
            assert response.status == status
            assert response.headers["access-control-allow-origin"] == origins[0]
            assert "x-ratelimit-remaining-tokens" in response.headers["access-control-expose-headers"]


async def test_pages_of_other_origins_may_not(serve, engine):
    orchestrator = await serve(config_for(engine, server={"cors": {"allowOrigins": [PAGE]}}))
    other = {**PREFLIGHT, "Origin": "https://elsewhere.example.com"}
    async with orchestrator.client.options(CHAT, headers=other) as response:
        assert response.status == 400
        assert "access-control-allow-origin" not in response.headers


async def test_without_configuration_there_are_no_cors_headers(orchestrator):
    async with orchestrator.client.post(CHAT, json=question(), headers={"Origin": PAGE}) as response:
        assert not [name for name in response.headers if name.lower().startswith("access-control")]
    async with orchestrator.client.options(CHAT, headers=PREFLIGHT) as response:
        assert response.status == 405


async def test_only_trusted_hosts_are_answered(serve, engine):
    orchestrator = await serve(config_for(engine, server={"trustedHosts": ["llm.example.com", "*.internal"]}))
    for host, status in (("llm.example.com", 200), ("a.internal:8001", 200), ("evil.example.com", 400), ("", 400)):
        async with orchestrator.client.post(CHAT, json=question(), headers={"Host": host}) as response:
            assert response.status == status, host
    for path in ("/live", "/ready", "/health", "/metrics"):
        async with orchestrator.client.get(path, headers={"Host": "10.0.0.7:8001"}) as response:
            assert response.status == 200, path
    assert len(engine.seen) == 2


@pytest.mark.parametrize("host", ["a*.example.com", "https://example.com", "two words", "*.*.com"])
def test_hosts_of_another_shape_are_refused(host):
    with pytest.raises(ValueError, match="pattern"):
        config_for(server={"trustedHosts": [host]}, upstreams=[{"name": "e", "url": "http://e"}])
