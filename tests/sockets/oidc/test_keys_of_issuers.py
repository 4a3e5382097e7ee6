"""How the keys of an issuer come, change and go; what is asked meanwhile waits for none of it."""

import asyncio

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from tests.sockets.oidc.asking import answer, asks
from tests.sockets.oidc.conftest import KEY
from tests.sockets.running import until, until_awaited


async def test_a_client_with_its_issuers_token_is_answered(orchestrator, issuer, lines):
    assert await asks(orchestrator, await issuer.token("alice")) == (200, None)
    assert await asks(orchestrator, KEY) == (200, None)
    tokens, keys = (line for line in lines if line["path"] == "/v1/chat/completions")
    assert (tokens["tenant"], keys["tenant"]) == ("team", "keys")
    assert tokens["key_id"].startswith("oidc-")
    assert issuer.fetches == 1


async def test_a_new_key_counts_without_a_restart_and_an_old_one_no_longer(serving, issuer, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.auth.oidc.issuer.LEAST_SECONDS", 0.0)
    orchestrator = await serving(refreshSeconds=3600)
    old = issuer.sign()
    assert await asks(orchestrator, old) == (200, None)
    former, issuer.signing = issuer.signing, issuer.new_key()
    new = issuer.sign()
    status, body, headers = await answer(orchestrator, new)
    assert (status, body["error"]["code"], headers["retry-after"]) == (503, "issuer_unavailable", "1")
    await until_awaited(lambda: asks(orchestrator, new), lambda found: found == (200, None))
    assert await asks(orchestrator, old) == (200, None)  # both are shown
    issuer.keys.remove(former)
    before = issuer.fetches
    await until_awaited(lambda: asks(orchestrator, issuer.sign(header={"kid": "x"})), lambda _: issuer.fetches > before)
    await until_awaited(lambda: asks(orchestrator, old), lambda found: found[0] != 200)
    assert await asks(orchestrator, new) == (200, None)


async def test_a_key_that_is_taken_back_ends_with_the_refresh(serving, issuer):
    orchestrator = await serving(refreshSeconds=0.1)
    old = issuer.sign()
    assert await asks(orchestrator, old) == (200, None)
    issuer.keys.clear()
    issuer.signing = issuer.new_key()
    await until_awaited(lambda: asks(orchestrator, old), lambda found: found[0] != 200)


async def test_made_up_keys_reach_the_issuer_once(serving, issuer, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.auth.oidc.issuer.LEAST_SECONDS", 600.0)  # more than 200 requests take
    orchestrator = await serving()
    tokens = [issuer.sign(header={"kid": f"made-up-{n}"}) for n in range(200)]
    answers = await asyncio.gather(*(asks(orchestrator, token) for token in tokens))
    assert {status for status, _ in answers} == {401}  # the keys have just been fetched
    assert issuer.fetches == 1
    assert not orchestrator.app.services.keys.issuers.tokens


async def test_an_issuer_that_hangs_keeps_nobody_waiting(serving, issuer):
    issuer.going.clear()
    orchestrator = await serving(ready=False)
    await until(lambda: issuer.fetches == 1)
    assert await asks(orchestrator, KEY) == (200, None)
    status, message = await asks(orchestrator, issuer.sign())
    assert (status, message.split(":")[0]) == (503, "issuer_unavailable")
    async with orchestrator.client.get("/ready") as response:
        assert (response.status, (await response.json())["status"]) == (503, "starting")
    issuer.going.set()
    await until(lambda: orchestrator.app.services.keys.issuers.checked)
    assert await asks(orchestrator, issuer.sign()) == (200, None)
    assert (await orchestrator.get("/ready"))[0] == 200


async def test_an_issuer_that_is_away_later_changes_nothing_for_its_keys(serving, issuer):
    orchestrator = await serving(refreshSeconds=0.05)
    known = issuer.sign()
    assert await asks(orchestrator, known) == (200, None)
    issuers = orchestrator.app.services.keys.issuers
    with capture_logs() as logs:
        await issuer.stop()
        await until(lambda: issuers.problems)
        assert await asks(orchestrator, known) == (200, None)
        assert await asks(orchestrator, issuer.sign(sub="another")) == (200, None)
        assert (await asks(orchestrator, issuer.sign(header={"kid": "new"})))[0] == 503
        _, health = await orchestrator.get("/health", authorization=f"Bearer {KEY}")
        assert health["status"] == "degraded"
        assert any(line.startswith(f"oidc: {issuer.url} cannot be reached") for line in health["problems"])
        await issuer.start()
        await until(lambda: not issuers.problems)
    told = [line["event"] for line in logs if "issuer" in line]
    assert told == ["an issuer's keys cannot be fetched", "an issuer is back"]


async def test_an_issuer_that_was_never_there_is_told(serving, issuer):
    token = issuer.sign()
    await issuer.stop()
    orchestrator = await serving()
    assert (await asks(orchestrator, token))[0] == 503
    assert await asks(orchestrator, KEY) == (200, None)
    assert (await orchestrator.get("/ready"))[0] == 200
    await issuer.start()
    await until_awaited(lambda: asks(orchestrator, token), lambda found: found == (200, None), 10)


@pytest.mark.parametrize(
    ("shown", "problem"),
    [
        (web.Response(status=302, headers={"location": "https://elsewhere.example/"}), "answers 302 at"),
        (web.Response(status=403), "answers 403 at"),
        (web.Response(body=b"<html>", content_type="text/html"), "answers with no JSON object"),
        (web.json_response([]), "answers with no JSON object"),
        (web.json_response({"keys": {}}), "shows no list of up to 100 keys"),
        (web.json_response({"keys": [{}] * 101}), "shows no list of up to 100 keys"),
        (web.json_response({"keys": [{"kty": "oct", "k": "c2VjcmV0"}, None, 7]}), "shows no key that signs with"),
        (web.Response(body=b" " * 600_000), "answers with more than 524288 bytes"),
    ],
)
async def test_what_an_issuer_may_not_answer_is_told(serving, issuer, shown, problem):
    issuer.answer = shown
    orchestrator = await serving()
    (told,) = orchestrator.app.services.keys.issuers.problems
    assert problem in told
    assert (await asks(orchestrator, issuer.sign()))[0] == 503


async def test_an_issuer_of_another_name_is_told(serving, issuer):
    orchestrator = await serving(issuer=f"{issuer.url}/")
    (told,) = orchestrator.app.services.keys.issuers.problems
    assert f"calls itself {issuer.url};" in told


async def test_a_certificate_that_nobody_trusts_is_told(serving, issuer):
    orchestrator = await serving(ca=None)
    (told,) = orchestrator.app.services.keys.issuers.problems
    assert "certificate" in told


async def test_a_cluster_shows_its_keys_to_its_own(serving, issuer, tmp_path):
    (tmp_path / "token").write_text("of-a-service-account\n")
    await serving(jwksUrl=f"https://localhost:{issuer.port}/jwks", jwksToken={"file": str(tmp_path / "token")})
    assert issuer.bearers == ["Bearer of-a-service-account"]


async def test_issuers_come_and_go_with_the_configuration(orchestrator, issuer):
    token = issuer.sign()
    assert await asks(orchestrator, token) == (200, None)
    with_key = orchestrator.config.model_dump(exclude={"oidc"})
    config = type(orchestrator.config)
    orchestrator.app.reload(config.model_validate(with_key))
    assert (await asks(orchestrator, token))[1] == "invalid_api_key: this API key is not valid here"
    orchestrator.app.reload(orchestrator.config)
    await until_awaited(lambda: asks(orchestrator, token), lambda found: found == (200, None))
    assert issuer.fetches == 2
