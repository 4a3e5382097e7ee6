"""What clients keep for the service: encrypted, bound to its tenant, and readable for as long as its key is there."""

import base64
import binascii
import os
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tandem_orchestrator.errors import BadRequest

VERSION: Final = b"\x01"
NAME_BYTES: Final = 8
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32


class Seal:
    """Seals with the first of its keys, and opens with each."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {_name(key): AESGCM(key) for key in keys}

    def close(self, content: Any, tenant: str) -> str:
        """Return JSON content as a text that only this service reads, and for this tenant alone."""
        name, key = next(iter(self._keys.items()))
        nonce = os.urandom(NONCE_BYTES)
        sealed = key.encrypt(nonce, orjson.dumps(content), tenant.encode())
        return base64.urlsafe_b64encode(VERSION + name + nonce + sealed).decode()

    def open(self, text: str, tenant: str) -> Any:
        """Return what was sealed. Raises `BadRequest`."""
        try:
            raw = base64.b64decode(text, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        name, nonce, sealed = _parts(raw)
        key = self._keys.get(name)
        if key is None or not raw.startswith(VERSION):
            raise _unreadable("it was not sealed here, or its key has been taken away")
        try:
            return orjson.loads(key.decrypt(nonce, sealed, tenant.encode()))
        except InvalidTag:
            raise _unreadable("it was changed, or is somebody else's") from None


class Sealer:
    """A seal for one tenant; one without keys where nothing is to be sealed or opened."""

    def __init__(self, seal: Seal, tenant: str) -> None:
        self._seal = seal
        self._tenant = tenant

    def close(self, content: Any) -> str:
        """See `Seal.close`."""
        return self._seal.close(content, self._tenant)

    def open(self, text: str) -> Any:
        """See `Seal.open`."""
        return self._seal.open(text, self._tenant)


def key_of(secret: str) -> bytes:
    """Return the key that a secret stands for, whatever its length."""
    return blake2b(secret.encode(), digest_size=KEY_BYTES, person=b"tandem seal").digest()


def new_key() -> str:
    """Return a new secret."""
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()


def _name(key: bytes) -> bytes:
    return blake2b(key, digest_size=NAME_BYTES, person=b"tandem seal id").digest()


def _parts(raw: bytes) -> tuple[bytes, bytes, bytes]:
    start = len(VERSION)
    return (
        raw[start : start + NAME_BYTES],
        raw[start + NAME_BYTES : start + NAME_BYTES + NONCE_BYTES],
        raw[start + NAME_BYTES + NONCE_BYTES :],
    )


def _unreadable(why: str) -> BadRequest:
    return BadRequest(f"`encrypted_content` cannot be read: {why}", param="input", code="invalid_encrypted_content")
