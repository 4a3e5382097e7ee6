"""Web pages of other origins, and forged hosts."""

import pytest

from tests.sockets.running import config_for, question
from tests.sockets.surface.asking import CHAT

PAGE = "https://chat.example.com"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


@pytest.mark.parametrize("origins", [[PAGE], ["*"]])
async def test_pages_of_allowed_origins_may_ask(serve, engine, origins):
    orchestrator = await serve(
        config_for(engine, server={"cors": {"allowOrigins": origins, "maxAgeSeconds": 60}}, keys={"values": ["right"]})
    )
    async with orchestrator.client.options(CHAT, headers=PREFLIGHT) as response:
        assert response.status == 200
        assert response.headers["access-control-allow-origin"] == origins[0]
        assert "authorization" in response.headers["access-control-allow-headers"].lower()
        assert response.headers["access-control-max-age"] == "60"
    for headers, status in (({"Authorization": "Bearer right"}, 200), ({}, 401)):
        async with orchestrator.client.post(CHAT, json=question(), headers={"Origin": PAGE, **headers}) as response:
            assert response.status == status
            assert response.headers["access-control-allow-origin"] == origins[0]
            assert "x-ratelimit-remaining-tokens" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
async def test_pages_may_send_what_they_ask_for_unless_headers_are_listed(serve, engine, method):
    asked = {**PREFLIGHT, "Access-Control-Request-Method": method}
    asked["Access-Control-Request-Headers"] = "authorization,x-stainless-os,x-tandem-tools"
    for cors, status in (({}, 200), ({"allowHeaders": ["authorization"]}, 400)):
        orchestrator = await serve(config_for(engine, server={"cors": {"allowOrigins": [PAGE], **cors}}))
        async with orchestrator.client.options(CHAT, headers=asked) as response:
            assert response.status == status
            assert method in response.headers["access-control-allow-methods"]
            if not cors:
                assert response.headers["access-control-allow-headers"] == asked["Access-Control-Request-Headers"]


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


@pytest.fixture
async def of_two_hosts(serve, engine):
    return await serve(config_for(engine, server={"trustedHosts": ["LLM.example.com", "*.internal", "[::1]"]}))


@pytest.mark.parametrize(
    "host", ["llm.example.com", "llm.example.com:8001", "LLM.Example.com", "a.internal", "a.b.internal:80", "[::1]:80"]
)
async def test_trusted_hosts_are_answered(of_two_hosts, host):
    async with of_two_hosts.client.post(CHAT, json=question(), headers={"Host": host}) as response:
        assert response.status == 200


@pytest.mark.parametrize("path", [CHAT, "/chat", "/v1/models", "/docs", "/nowhere"])
@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("evil.example.com", "'evil.example.com'"),
        ("llm.example.com.evil.example", "'llm.example.com.evil.example'"),
        ("evilinternal:8001", "'evilinternal'"),
        ("internal", "'internal'"),
        ("[::2]:80", "'[::2]'"),
        ("", "no Host header"),
    ],
)
async def test_other_hosts_are_told_what_to_set(of_two_hosts, engine, path, host, told):
    async with of_two_hosts.client.post(path, json=question(), headers={"Host": host}) as response:
        assert response.status == 400
        error = (await response.json())["error"]
        assert "x-request-id" in response.headers
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", "untrusted_host")
    assert told in error["message"]
    assert "server.trustedHosts" in error["message"]
    assert not engine.seen


async def test_health_is_answered_under_any_host(of_two_hosts):
    for path in ("/live", "/ready", "/health", "/metrics"):
        async with of_two_hosts.client.get(path, headers={"Host": "10.0.0.7:8001"}) as response:
            assert response.status == 200, path


@pytest.mark.parametrize("host", ["a*.example.com", "https://example.com", "two words", "*.*.com"])
def test_hosts_of_another_shape_are_refused(host):
    with pytest.raises(ValueError, match="pattern"):
        config_for(server={"trustedHosts": [host]}, upstreams=[{"name": "e", "url": "http://e"}])
