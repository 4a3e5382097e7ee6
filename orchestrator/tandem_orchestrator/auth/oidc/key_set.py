"""The keys of an issuer, as it publishes them (JSON Web Key Set, RFC 7517)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key
from joserfc.jws import JWSRegistry
from tandem_contract.config import Algorithm

MODULUS: Final = range(342, 1367)  # base64url characters: RSA from 2048 to 8192 bits; longer ones take long to check
PUBLIC: Final = frozenset({"RSA", "EC", "OKP"})


class KeySet:
    """Keys by their id (`kid`) and by what they may sign."""

    def __init__(self, published: Iterable[Any], algorithms: Iterable[Algorithm]) -> None:
        """Take what can vouch for a token; what is for other uses, unknown or weak is left out."""
        self._keys: dict[tuple[str | None, str], Key] = {}
        self.kids: set[str] = set()
        keys = [key for each in published if (key := _key(each)) is not None]
        for algorithm in algorithms:
            fitting = [key for key in keys if _fits(key, algorithm)]
            for key in reversed(fitting):  # the first of several with one id wins
                if key.kid is not None:
                    self.kids.add(key.kid)
                    self._keys[key.kid, algorithm] = key
            if len(fitting) == 1:  # nothing else can be meant by a token that names none
                self._keys[None, algorithm] = fitting[0]

    def get(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the key that a token names."""
        return self._keys.get((kid, algorithm))

    def __len__(self) -> int:
        return len(set(map(id, self._keys.values())))


def _key(published: Any) -> Key | None:
    if not isinstance(published, Mapping) or published.get("kty") not in PUBLIC or "d" in published:
        return None
    try:
        if published["kty"] == "RSA" and len(published["n"]) not in MODULUS:
            return None
        key = import_key(dict(published))
        key.check_use("sig")
        key.check_key_op("verify")
    except (JoseError, ValueError, TypeError, LookupError):
        return None
    return key


def _fits(key: Key, algorithm: Algorithm) -> bool:
    try:
        JWSRegistry.algorithms[algorithm].check_key(key)
    except JoseError:
        return False
    return algorithm is not Algorithm.EDDSA or key.get("crv") == "Ed25519"
