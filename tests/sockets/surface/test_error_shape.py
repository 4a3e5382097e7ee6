"""Whatever goes wrong, and whoever notices it: one shape, but for /chat, which has its own."""

import pytest
from structlog.testing import capture_logs
from tandem_orchestrator.auth.keys import Keys
from tandem_orchestrator.engines.catalogue import Catalogue

from tests.sockets.running import COMPILED, NO_PATCHES, config_for, question

SHAPE = {"message", "type", "param", "code"}


async def refused(orchestrator, method, path, **options):
    """Status and error of a request."""
    async with orchestrator.client.request(method, path, allow_redirects=False, **options) as response:
        error = (await response.json())["error"]
        assert set(error) == SHAPE
        return response.status, error


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/", "/v1/nothing", "/v1/chat/completions/", "/v1/chat", "/chat/completions", "/admin", "/x"],
)
async def test_unknown_paths(orchestrator, path):
    status, error = await refused(orchestrator, "POST", path, json=question())
    assert (status, error["code"]) == (404, "not_found")
    assert f"under {path};" in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/models", "GET"),
        ("POST", "/live", "GET"),
        ("PROPFIND", "/metrics", "GET"),
        ("GET", "/v1/embeddings", "POST"),
        ("HEAD", "/v1/embeddings", "POST"),
        ("OPTIONS", "/v1/models/double", "GET"),
        ("PUT", "/admin/keys", "GET, POST"),
        ("POST", "/admin/keys/key-1", "GET, PATCH, DELETE"),
        ("HEAD", "/admin/keys/key-1", "GET, PATCH, DELETE"),
        ("POST", "/docs", "GET, HEAD"),
    ],
)
async def test_wrong_methods(orchestrator, method, path, allowed):
    if method != "HEAD":  # whose answer has no body
        status, error = await refused(orchestrator, method, path)
        assert (status, error["code"]) == (405, "method_not_allowed")
        assert error["message"] == f"{path} takes {allowed}, not {method}"
    async with orchestrator.client.request(method, path) as response:
        assert (response.status, response.headers["allow"]) == (405, allowed)


async def test_a_body_that_fastapi_reads(serve, engine, tmp_path):
    (tmp_path / "admin").write_text("secret")
    settings = {
        "keys": {"admin": {"file": str(tmp_path / "admin")}},
        "database": {"url": f"sqlite:///{tmp_path}/tandem.db"},
        "limits": {"maxBodyBytes": 1024},
    }
    orchestrator = await serve(config_for(engine, **settings))
    headers = {"Authorization": "Bearer secret", "Content-Type": "application/json"}
    for body, status, code in (
        (b" " * 2000, 413, "request_too_large"),
        (b"{", 400, "invalid_json"),
        (b'"\xff"', 400, "invalid_json"),
    ):
        answered = await refused(orchestrator, "POST", "/admin/keys", headers=headers, data=body)
        assert (answered[0], answered[1]["code"]) == (status, code)


@pytest.mark.skipif(COMPILED, reason=NO_PATCHES)
async def test_a_defect(orchestrator, monkeypatch):
    def fail(*_):
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr(Catalogue, "entries", fail)
    monkeypatch.setattr(Keys, "identify", fail)
    with capture_logs() as logged:
        for method, path in (("GET", "/v1/models"), ("POST", "/v1/chat/completions")):
            status, error = await refused(
                orchestrator, method, path, json=question(), headers={"X-Request-Id": f"of{path}"}
            )
            assert (status, error["code"]) == (500, "internal_error")
            assert "secret" not in error["message"]
            assert [line["request_id"] for line in logged if line["event"] == "request failed"][-1] == f"of{path}"
        async with orchestrator.client.post("/chat", json={"messages": question()["messages"]}) as response:
            assert (response.status, list(await response.json())) == (500, ["detail"])


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [("POST", b"{", 400), ("POST", b"{}", 422), ("GET", None, 405), ("POST", b" " * 2000, 413)],
)
async def test_simple_chat_has_its_own_shape(serve, engine, method, body, status):
    orchestrator = await serve(config_for(engine, limits={"maxBodyBytes": 1024}))
    headers = {"Content-Type": "application/json"}
    async with orchestrator.client.request(method, "/chat", data=body, headers=headers) as response:
        assert (response.status, list(await response.json())) == (status, ["detail"])
