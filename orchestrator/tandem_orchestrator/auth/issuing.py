"""Makes keys for the database."""

import secrets
from datetime import datetime

from tandem_orchestrator.auth.api_key import SHOWN, digest_of, new_key
from tandem_orchestrator.auth.terms import Terms
from tandem_orchestrator.store.api_keys import StoredKey


def issue(terms: Terms, tenant: str, now: datetime) -> tuple[str, StoredKey]:
    """A new key, which is not kept anywhere, and what is."""
    key = new_key()
    stored = StoredKey(
        id=f"key-{int(now.timestamp() * 1000):011x}{secrets.token_hex(4)}",  # sorts by when it was made
        hash=digest_of(key).hex(),
        prefix=key[:SHOWN],
        tenant=tenant,
        created=now,
        **terms.model_dump(include=set(Terms.model_fields)),
    )
    return key, stored
