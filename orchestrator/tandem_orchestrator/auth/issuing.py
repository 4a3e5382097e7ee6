"""Makes keys for the database."""

import secrets
from datetime import datetime

from tandem_orchestrator.auth.api_key import SHOWN, digest_of, new_key
from tandem_orchestrator.auth.stored_key import StoredKey
from tandem_orchestrator.auth.terms import NewTerms, Terms, after


def issue(terms: NewTerms, now: datetime) -> tuple[str, StoredKey]:
    """Return a new key, which is not kept anywhere, and what is."""
    key = new_key()
    kept = terms.model_dump(include=set(Terms.model_fields))
    if terms.expires_in is not None:
        kept["expires"] = after(terms.expires_in, now)
    stored = StoredKey(
        id=f"key-{int(now.timestamp() * 1000):011x}{secrets.token_hex(4)}",  # sorts by when it was made
        hash=digest_of(key).hex(),
        prefix=key[:SHOWN],
        tenant=terms.tenant,
        created=now,
        **kept,
    )
    return key, stored
