"""Which of an issuer's keys can vouch for a token."""

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from tandem_contract.config import Algorithm
from tandem_orchestrator.auth.oidc.key_set import KeySet

ALL = tuple(Algorithm)


def shown(key, **others):
    return {**key.as_dict(private=False), **others}


RSA = shown(RSAKey.generate_key(2048))
P256 = shown(ECKey.generate_key("P-256"))


def signs(*published, kid="a"):
    keys = KeySet(published, ALL)
    return [algorithm.value for algorithm in ALL if keys.get(kid, algorithm)]


@pytest.mark.parametrize(
    ("published", "found"),
    [
        (RSA, ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]),
        ({**RSA, "alg": "PS256", "use": "sig", "key_ops": ["verify"]}, ["PS256"]),
        (P256, ["ES256"]),
        (shown(ECKey.generate_key("P-521")), ["ES512"]),
        (shown(OKPKey.generate_key("Ed25519")), ["EdDSA"]),
        (shown(OKPKey.generate_key("Ed448")), []),
        (shown(OKPKey.generate_key("X25519")), []),
        (shown(ECKey.generate_key("secp256k1")), []),
        ({**RSA, "use": "enc"}, []),
        ({**RSA, "key_ops": ["encrypt"]}, []),
        ({**RSA, "alg": "RSA-OAEP"}, []),
        ({**RSA, "alg": "HS256"}, []),
        ({**RSA, "n": RSA["n"][:340]}, []),
        ({**RSA, "n": "_" * 4000}, []),
        ({**RSA, "n": 7}, []),
        ({**P256, "x": "AAAA"}, []),
        ({**P256, "kid": ["a"]}, []),
        (ECKey.generate_key("P-256").as_dict(private=True), []),
        (OctKey.generate_key(256).as_dict(), []),
        ({"kty": "EC"}, []),
        ({}, []),
        ("text", []),
        (None, []),
    ],
)
def test_what_a_key_may_vouch_for(published, found):
    assert signs({"kid": "a", **published} if isinstance(published, dict) else published) == found


def test_only_what_the_settings_allow():
    keys = KeySet([{**RSA, "kid": "a"}], [Algorithm.PS256])
    assert (keys.get("a", "RS256"), bool(keys.get("a", "PS256"))) == (None, True)
    assert keys.get("a", "HS256") is None
    assert keys.get("a", "none") is None


def test_a_token_that_names_no_key_is_the_only_ones():
    other = shown(ECKey.generate_key("P-256"))
    assert signs({**P256, "kid": "a"}, RSA, kid=None)  # one of each kind
    assert signs({**P256, "kid": "a"}, other, kid=None) == []
    assert signs(P256, kid=None) == ["ES256"]


def test_the_first_of_two_with_one_name():
    other = shown(ECKey.generate_key("P-256"))
    keys = KeySet([{**P256, "kid": "a"}, {**other, "kid": "a"}], ALL)
    found = keys.get("a", "ES256")
    assert found is not None
    assert found.as_dict(private=False)["x"] == P256["x"]
    assert signs({**P256, "kid": "a"}, {**RSA, "kid": "a"})[0] == "RS256"
    assert (len(keys), keys.kids) == (1, {"a"})
