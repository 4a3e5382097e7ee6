"""Secrets that the orchestrator's pods mount and that are not there: a pod only says that it is being created."""

from collections.abc import Mapping

from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.settings import secrets
from tandem_operator.status.finding import Finding


def missing_secret(
    service: LLMService, named: Mapping[str, frozenset[str]], there: Mapping[str, frozenset[str]]
) -> Finding | None:
    """Find the first of the named Secrets that does not exist, or that has not all keys; `there` are those that do."""
    settings = service.spec.orchestrator
    for name, keys in named.items():
        parts = {"state": settings.state, "files": settings.files}
        naming = next((field for field, part in parts.items() if name in secrets(part)), "config")
        where = f"which spec.orchestrator.{naming} names"
        if name not in there:
            message = f"the Secret {name}, {where}, does not exist; create it"
            return Finding("SecretMissing", message, terminal=True)
        for key in sorted(keys - there[name]):
            message = f"the Secret {name} has no key {key}, {where}; add it or correct that"
            return Finding("SecretMissing", message, terminal=True)
    return None
