"""The Secret with the engine's API key.

Its data is no part of the manifest: the operator fills it in once and never overwrites it, so that deleting the
Secret is all that a rotation takes.
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from tandem_contract import names

from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests.identity import Manifest, Tier, child, engine_key_name


def build(service: LLMService) -> Iterable[Manifest]:
    """Return the Secret without its data."""
    yield {**child(service, Tier.ENGINE, "v1", "Secret", engine_key_name(service)), "type": "Opaque"}


def with_key(secret: Manifest, key: str) -> Manifest:
    """Return the Secret with a key in it."""
    return {**secret, "data": {names.ENGINE_KEY: b64encode(key.encode()).decode()}}


def key_version(secret: Mapping[str, Any] | None) -> str | None:
    """Return a fingerprint of the key in a live Secret; None where there is no key."""
    data = (secret or {}).get("data") or {}
    key = data.get(names.ENGINE_KEY)
    return hashlib.sha256(b64decode(key)).hexdigest()[:16] if key else None
