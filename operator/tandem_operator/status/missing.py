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
    parts = {"spec.orchestrator.state": settings.state, "spec.orchestrator.files": settings.files}
    external = {f"{each.spec_path}.external": each.spec.external for each in service.all_engines}
    for name, keys in named.items():
        naming = [field for field, part in (parts | external).items() if name in secrets(part)]
        where = f"which {(*naming, 'spec.orchestrator.config')[0]} names"
        if name not in there:
            message = f"the Secret {name}, {where}, does not exist; create it"
            return Finding("SecretMissing", message, terminal=True)
        for key in sorted(keys - there[name]):
            message = f"the Secret {name} has no key {key}, {where}; add it or correct that"
            return Finding("SecretMissing", message, terminal=True)
    return None
