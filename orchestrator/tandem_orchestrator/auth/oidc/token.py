"""A token as it came along, and what vouches for it. It is taken apart once: what is checked is what is used."""

import json
from collections.abc import Mapping
from time import time
from typing import Any, Final

import orjson
from joserfc import jws
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError
from joserfc.jwk import Key
from joserfc.jwt import JWTClaimsRegistry
from tandem_contract.config import Algorithm

from tandem_orchestrator.auth.refusal import refusal
from tandem_orchestrator.errors import Unauthorized

MOST_HEADER: Final = 4096  # bytes of its first part
TYPES: Final = frozenset({"jwt", "at+jwt"})
REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "nbf": ("not_yet_valid", "this token is not valid yet; if it should be, a clock is wrong"),
    "iat": ("not_yet_valid", "this token was issued in the future; a clock is wrong"),
    "aud": ("wrong_audience", "this token is meant for another audience (aud)"),
}
WRONG: Final = ("malformed", "a claim of this token is not as it has to be (exp, nbf, iat, aud, sub or jti)")


class _Signatures(jws.JWSRegistry):
    """Signatures by an issuer's key. EdDSA goes without the warning that RFC 9864 has another name for it."""

    max_header_length = MOST_HEADER

    def get_alg(self, name: str) -> Any:
        return self.algorithms[Algorithm(name)]


SIGNATURES: Final = _Signatures(strict_check_header=False)


class Token:
    """A token that nobody has vouched for yet."""

    __slots__ = ("_signed", "algorithm", "claims", "issuer", "kid")

    def __init__(self, presented: bytes) -> None:
        """Raise `Unauthorized` for what is no signed JSON Web Token."""
        if presented.count(b".") > 2:  # noqa: PLR2004 # JSON Web Encryption has four
            raise _malformed("an encrypted token cannot be read here; have it signed alone")
        try:
            self._signed = jws.extract_compact(presented, registry=SIGNATURES)
            header = self._signed.headers()
            SIGNATURES.check_header(header)
            kid: str | None = header.get("kid")
            self.kid = kid
            self.algorithm: str = header["alg"]
            self.claims = _claims(self._signed.payload)
            kind = header.get("typ", "JWT").lower().removeprefix("application/")
        except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
            raise _malformed("this is no JSON Web Token") from None
        if kind not in TYPES or "crit" in header or "b64" in header:
            raise _malformed("this token is not of a kind that is taken here (typ, crit)")
        issuer = self.claims.get("iss")
        if not isinstance(issuer, str):
            raise _malformed("this token names no issuer (iss)")
        self.issuer = issuer

    def is_signed_by(self, key: Key) -> bool:
        """Return whether the key, which must be one for the token's algorithm, has signed it."""
        try:
            return jws.validate_compact(self._signed, key, registry=SIGNATURES)
        except (JoseError, ValueError):
            return False

    def check(self, audiences: list[str], skew: int) -> None:
        """Raise `Unauthorized` where it is for others, or for another time."""
        registry = JWTClaimsRegistry(
            int(time()),
            skew,
            exp={"essential": True},
            sub={"essential": True},
            aud={"essential": True, "values": list(audiences)},
        )
        try:
            registry.validate(self.claims)
        except ExpiredTokenError:
            raise refusal("expired", "this token has expired; ask its issuer for a new one") from None
        except InvalidClaimError as error:
            raise refusal(*REASONS.get(error.claim, WRONG)) from None
        except JoseError:
            raise _malformed("this token lacks exp, sub or aud") from None


def _claims(payload: bytes) -> dict[str, Any]:
    claims = json.loads(payload.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    if not isinstance(claims, dict):
        raise TypeError
    orjson.dumps(claims)  # refuses half of a character, and numbers beyond 64 bits
    return claims


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):  # others may read the one that we do not
        raise ValueError("a name stands there twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(text)


def _malformed(message: str) -> Unauthorized:
    return refusal("malformed", message)
