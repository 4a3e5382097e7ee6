"""Which tokens are good, what they allow, and what is told of those that are not."""

import base64
import json
from time import time

import openai
import pytest
from joserfc import jws
from joserfc import jwt as jose
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter
from jwt import PyJWT
from prometheus_client import REGISTRY

from tests.sockets.oidc.asking import answer, asks
from tests.sockets.oidc.conftest import KEY
from tests.sockets.running import config_for, question, until

PAST = int(time()) - 60
LATER = PAST + 36_000  # far from when the last test runs


def part(value) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def failures() -> dict[str, float]:
    (metric,) = (each for each in REGISTRY.collect() if each.name == "tandem_auth_failures")
    return {each.labels["reason"]: each.value for each in metric.samples if each.name.endswith("_total")}


@pytest.mark.parametrize(
    ("claims", "reason", "message"),
    [
        ({"exp": PAST}, "expired", "has expired"),
        ({"exp": None}, "malformed", "lacks exp, sub or aud"),
        ({"exp": str(LATER)}, "malformed", "not as it has to be"),
        ({"exp": True}, "malformed", "not as it has to be"),
        ({"nbf": LATER}, "not_yet_valid", "not valid yet"),
        ({"iat": LATER}, "not_yet_valid", "issued in the future"),
        ({"aud": "another"}, "wrong_audience", "another audience"),
        ({"aud": ["another", "tandem-2"]}, "wrong_audience", "another audience"),
        ({"aud": []}, "wrong_audience", "another audience"),
        ({"aud": {"tandem": "tandem"}}, "wrong_audience", "another audience"),
        ({"aud": None}, "malformed", "lacks exp, sub or aud"),
        ({"sub": None}, "malformed", "lacks exp, sub or aud"),
        ({"sub": ""}, "malformed", "not as it has to be"),
        ({"sub": 7}, "malformed", "not as it has to be"),
        ({"iss": "https://elsewhere.example"}, "unknown_issuer", "issuer that is not known"),
        ({"iss": ["https://elsewhere.example"]}, "malformed", "names no issuer"),
        ({"iss": None}, "malformed", "names no issuer"),
    ],
)
async def test_a_token_for_others_or_another_time_is_refused(orchestrator, issuer, claims, reason, message):
    before = failures()
    status, body, headers = await answer(orchestrator, issuer.sign(**claims))
    assert (status, body["error"]["code"], headers["www-authenticate"]) == (401, "invalid_api_key", "Bearer")
    assert message in body["error"]["message"]
    assert {name: value - before.get(name, 0) for name, value in failures().items() if value != before.get(name)} == {
        reason: 1
    }


async def test_what_is_good_about_a_token(orchestrator, issuer):
    now = int(time())
    for claims in (
        {"aud": ["another", "tandem"]},
        {"exp": now - 5},  # within the clocks' difference
        {"nbf": now + 5, "exp": 2**62},
        {"exp": now + 600.5},
    ):
        assert await asks(orchestrator, issuer.sign(**claims)) == (200, None)
    for header in ({"typ": "JWT"}, {"typ": "at+jwt"}, {"typ": "application/at+jwt"}, {"x5t": "abc", "new": 1}):
        assert await asks(orchestrator, issuer.sign(header=header)) == (200, None)
    async with orchestrator.client.get("/v1/models", headers={"x-api-key": issuer.sign()}) as response:
        assert response.status == 200


async def test_a_token_that_ends_is_refused_though_it_is_known(serving, issuer):
    orchestrator = await serving(clockSkewSeconds=7)
    token = issuer.sign(exp=LATER)
    assert await asks(orchestrator, token) == (200, None)
    (known,) = orchestrator.app.services.keys.issuers.tokens.values()
    assert known.expires == LATER + 7
    known.expires = time() - 1
    status, message = await asks(orchestrator, token)
    assert (status, "has expired" in message) == (401, True)


def hostile(issuer) -> dict[str, str]:
    """Tokens that somebody without the issuer's key can make, or that were not meant to be read so."""
    good = issuer.sign()
    header, payload, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    public = json.dumps(issuer.signing.as_dict(private=False)).encode()
    other = ECKey.generate_key("P-256", {"kid": issuer.signing.kid})
    rsa = RSAKey.generate_key(2048, {"kid": issuer.signing.kid})
    shared = OctKey.import_key(public)
    hmac = jose.encode({"alg": "HS256", "kid": issuer.signing.kid}, claims, shared, algorithms=["HS256"])
    kid = {"alg": "ES256", "kid": issuer.signing.kid}
    return {
        "none": f"{part({'alg': 'none'})}.{payload}.",
        "None": f"{part({**kid, 'alg': 'None'})}.{payload}.",
        "no signature": f"{header}.{payload}.",
        "an empty key's": f"{header}.{payload}.{part(bytes(64))}",
        "another's claims": f"{header}.{part({**claims, 'sub': 'root'})}.{signature}",
        "another key of that name": issuer.sign(other),
        "RSA under that name": jose.encode({**kid, "alg": "RS256"}, claims, rsa),
        "the public key as a secret": hmac,
        "its own key": jose.encode({**kid, "jwk": other.as_dict(private=False)}, claims, other, algorithms=["ES256"]),
        "a path as kid": issuer.sign(other, header={"kid": "../../dev/null"}),
        "a list as kid": f"{part({**kid, 'kid': ['a']})}.{payload}.{signature}",
        "no kid": f"{part({'alg': 'ES256'})}.{payload}.{signature}",
        "b64": f"{part({**kid, 'crit': ['b64'], 'b64': False})}.{payload}.{signature}",
        "no alg": f"{part({'kid': 'a'})}.{payload}.{signature}",
        "a list as header": f"{part(['alg'])}.{payload}.{signature}",
        "no object": f"{header}.{part([claims])}.{signature}",
        "NaN": f"{header}.{part(json.dumps(claims | {'exp': float('nan')}).encode())}.{signature}",
        "deep": f"{header}.{part(b'[' * 5000)}.{signature}",
        "UTF-16": f"{header}.{part(json.dumps(claims).encode('utf-16'))}.{signature}",
        "a long number": f"{header}.{part(b'{"exp": ' + b'9' * 5000 + b'}')}.{signature}",
        "encrypted": f"{header}.{payload}.{signature}.a.b",
        "no base64": f"{header}.{payload}!.{signature}",
        "padded": f"{header}=.{payload}.{signature}",
        "a long header": f"{part({**kid, 'x': 'x' * 5000})}.{payload}.{signature}",
        "as long as it may be": f"{header}.{part({**claims, 'x': 'x' * 11000})}.{signature}",
        "too long": f"{header}.{part({**claims, 'x': 'x' * 13000})}.{signature}",
    }


def unusual(issuer) -> dict[str, str]:
    """Tokens that the issuer has signed, and that mean more than they seem to."""
    claims = json.dumps({"iss": issuer.url, "aud": "tandem", "sub": "agent", "exp": LATER})
    header = {"alg": "ES256", "kid": issuer.signing.kid}
    known = JWSRegistry(header_registry={"exp": HeaderParameter("of the header", "int")})

    def made(payload: str, **others) -> str:
        return jws.serialize_compact({**header, **others}, payload, issuer.signing, registry=known)

    return {
        "usual": made(claims),
        "a claim twice": made(f'{claims[:-1]}, "sub": "root"}}'),
        "another kind": made(claims, typ="logout+jwt"),
        "half a character": made(claims.replace("agent", "\\ud800")),
        "half a character deep inside": made(f'{claims[:-1]}, "groups": ["\\ud800"]}}'),
        "an endless time": made(claims.replace(str(LATER), "1e999")),
        "a number of many digits": made(claims.replace(str(LATER), "9" * 400)),
        "what must be understood": made(claims, crit=["exp"], exp=1),
        "text in another encoding": jws.serialize_compact(header, claims.encode("utf-16"), issuer.signing),
    }


async def test_what_an_issuer_signs_may_still_be_no_token_for_us(orchestrator, issuer):
    found = {what: (await asks(orchestrator, token))[0] for what, token in unusual(issuer).items()}
    assert found == {what: 200 if what == "usual" else 401 for what in found}


async def test_nobody_gets_in_by_making_a_token(serving, issuer, lines, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.auth.oidc.issuer.LEAST_SECONDS", 600.0)
    orchestrator = await serving(algorithms=["RS256", "ES256"])
    for what, token in hostile(issuer).items():
        status, message = await asks(orchestrator, token)
        assert (status, message.split(":")[0]) == (401, "invalid_api_key"), what
        assert all(piece not in f"{lines}{message}" for piece in token.split(".") if len(piece) > 8), what
    assert not orchestrator.app.services.keys.issuers.tokens
    assert issuer.fetches == 1


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", RSAKey.generate_key(2048, {"kid": "a"})),
        ("PS256", RSAKey.generate_key(2048, {"kid": "a", "alg": "PS256"})),
        ("EdDSA", OKPKey.generate_key("Ed25519", {"kid": "a"})),
        ("ES384", ECKey.generate_key("P-384", {"kid": "a"})),
    ],
)
async def test_ways_to_sign(serving, issuer, algorithm, key):
    issuer.keys.append(key)
    orchestrator = await serving(**({"algorithms": ["ES384"]} if algorithm == "ES384" else {}))
    token = signed(key, algorithm, {"iss": issuer.url, "aud": "tandem", "sub": "a", "exp": LATER})
    assert await asks(orchestrator, token) == (200, None)


def signed(key, algorithm, claims) -> str:
    """A token as a second implementation makes it."""
    return PyJWT().encode(claims, key.private_key, algorithm, headers={"kid": key.kid})


async def test_claims_say_what_a_caller_may_use(serving, issuer, engine, lines):
    orchestrator = await serving(
        tenant=None,
        tenantPrefix="sso-",
        claims={"tenant": "org", "models": "models", "plan": "/realm_access/roles"},
        limits=None,
        plans=[{"name": "gold", "requestsPerMinute": 2}, {"name": "free", "requestsPerMinute": 1}],
    )
    rights = {"org": "research", "models": ["double"], "realm_access": {"roles": ["user", "free", "gold"]}}
    token = issuer.sign(**rights)
    assert await asks(orchestrator, token) == (200, None)
    assert lines[-1]["tenant"] == "sso-research"
    assert await asks(orchestrator, issuer.sign(jti="another", **rights)) == (200, None)  # counted with the first
    assert len({id(key.principal) for key in orchestrator.app.services.keys.issuers.tokens.values()}) == 1
    status, message = await asks(orchestrator, token)
    assert (status, message.split(":")[0]) == (429, "rate_limit_exceeded")
    assert (await asks(orchestrator, issuer.sign(sub="other", **rights | {"models": "a b"})))[0] == 403
    for missing in ({"org": None}, {"org": "no tenant!"}, {"models": None}, {"realm_access": {"roles": ["user"]}}):
        status, message = await asks(orchestrator, issuer.sign(**rights | missing))
        assert (status, message[:37]) == (403, "not_allowed: this token is good, but ")


async def test_a_token_opens_nothing_that_a_key_does_not(serve, engine, issuer, tmp_path):
    (tmp_path / "admin").write_text("the-admin-key")
    orchestrator = await serve(
        config_for(
            engine,
            oidc={"issuers": [issuer.settings()]},
            keys={"admin": {"file": str(tmp_path / "admin")}},
            database={"url": f"sqlite:///{tmp_path}/keys.db"},
        )
    )
    await until(lambda: orchestrator.app.services.keys.issuers.checked)
    token = issuer.sign()
    for bearer, status in ((token, 403), (issuer.sign(exp=1), 401)):
        async with orchestrator.client.get("/admin/keys", headers={"authorization": f"Bearer {bearer}"}) as response:
            assert response.status == status
    for path in ("/health", "/metrics"):
        async with orchestrator.client.get(path, headers={"authorization": f"Bearer {token}"}) as response:
            assert response.status == 200
    assert (await orchestrator.get("/health", authorization=f"Bearer {token}"))[1][
        "authentication"
    ] == "keys and tokens"
    async with orchestrator.client.post("/v1/chat/completions", json=question()) as response:
        assert response.status == 401


async def test_openais_client_sends_a_token_as_it_sends_a_key(orchestrator, issuer):
    async with openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key=issuer.token, max_retries=0) as client:
        answered = await client.chat.completions.create(**question())
    assert answered.choices[0].message.content


async def test_a_key_may_look_like_a_token(serve, engine, issuer):
    looks = issuer.sign(exp=1)[:500]
    orchestrator = await serve(config_for(engine, keys={"values": [looks, KEY]}, oidc={"issuers": [issuer.settings()]}))
    assert await asks(orchestrator, looks) == (200, None)
