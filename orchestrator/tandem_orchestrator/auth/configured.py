"""Keys in the configuration itself, for which API_KEYS is another name."""

from collections.abc import Iterable

from pydantic import SecretStr
from tandem_contract.config import KeyLimits

from tandem_orchestrator.auth.api_key import ApiKey, digest_of, id_of
from tandem_orchestrator.auth.principal import Principal


def configured_keys(values: Iterable[SecretStr]) -> dict[bytes, ApiKey]:
    """Return keys by digest, of values like `key` or `tenant:key`; a key without a tenant is one of its own."""
    keys = {}
    for value in values:
        before, colon, after = value.get_secret_value().partition(":")
        tenant, key = (before, after) if colon else ("", before)
        digest = digest_of(key)
        name = id_of(digest)
        keys[digest] = ApiKey(digest, Principal(name, tenant or name, KeyLimits()))
    return keys
