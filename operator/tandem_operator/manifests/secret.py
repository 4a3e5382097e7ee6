"""The Secret with the engine's API key.

Its data is no part of the manifest: the operator fills it in once and never overwrites it, so that deleting the
Secret is all that a rotation takes.
"""

import hashlib
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any

from tandem_contract import names

from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.naming import Tier, engine_key_name
from tandem_operator.manifests.component import Manifest, child


def build(service: LLMService) -> Iterable[Manifest]:
    """Return the Secret without its data."""
    yield {**child(service, Tier.ENGINE, "v1", "Secret", engine_key_name(service)), "type": "Opaque"}


def key_version(secret: Mapping[str, Any] | None) -> str | None:
    """Return a fingerprint of the key in a live Secret; None where there is no key."""
    data = (secret or {}).get("data") or {}
    key = data.get(names.ENGINE_KEY)
    return hashlib.sha256(b64decode(key)).hexdigest()[:16] if key else None
