"""API keys: how they are made, and what is kept of them."""

import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from tandem_orchestrator.auth.principal import Principal

BEGINNING: Final = "tk-"
RANDOM_BYTES: Final = 32
SHOWN: Final = 10  # characters of a key that lists show: its beginning and 42 of its 256 random bits
MAX_LENGTH: Final = 512


@dataclass(slots=True)
class ApiKey:
    """What is kept of a key in memory."""

    digest: bytes = field(repr=False)
    principal: Principal
    expires: float | None = None
    """Unix time."""


def new_key() -> str:
    """Return a key that nobody can guess, and that scanners for leaked keys recognize."""
    return BEGINNING + secrets.token_urlsafe(RANDOM_BYTES)


def digest_of(key: str | bytes) -> bytes:
    """Return its SHA-256: random keys are in no dictionary, so that a slow hash would protect them no better."""
    return sha256(key.encode() if isinstance(key, str) else key).digest()


def id_of(digest: bytes) -> str:
    """Return an id for a key that has no name."""
    return f"key-{digest[:6].hex()}"


def is_well_formed(key: bytes) -> bool:
    """Return whether `key` could be one: visible ASCII characters alone."""
    return key.isascii() and key.decode().isprintable() and b" " not in key
