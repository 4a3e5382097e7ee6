"""What the orchestrator's pods mount and that is not there: a pod only says that it is being created."""

from collections.abc import Callable, Collection
from typing import Final

from tandem_operator.api.component import EngineComponent
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.settings import Named, secrets
from tandem_operator.status.finding import Finding

_SETTINGS: Final = "spec.orchestrator.config"


def missing_secret(service: LLMService, named: Named, there: Named) -> Finding | None:
    """Find the first of the named Secrets that does not exist, or that has not all keys; `there` are those that do."""
    settings = service.spec.orchestrator
    parts = {"spec.orchestrator.state": settings.state, "spec.orchestrator.files": settings.files}
    external = {f"{each.spec_path}.external": each.spec.external for each in service.all_engines}

    def field(name: str) -> str:
        return next((path for path, part in (parts | external).items() if name in secrets(part)), _SETTINGS)

    message = _missing("Secret", named, there, field)
    return Finding("SecretMissing", message, terminal=True) if message else None


def missing_credentials(component: EngineComponent, there: Collection[str]) -> Finding | None:
    """Find that the Secret that opens a model's source does not exist."""
    credentials = component.model.credentials
    if credentials is None or credentials.secret_name in there:
        return None
    where = f"which {component.model_path}.credentials names"
    message = f"the Secret {credentials.secret_name}, {where}, does not exist; create it"
    return Finding("SecretMissing", message, terminal=True)


def missing_config_map(named: Named, there: Named) -> Finding | None:
    """Find the first of the named ConfigMaps that does not exist, or that has not all keys."""
    message = _missing("ConfigMap", named, there, lambda _: f"{_SETTINGS}.tasksFrom")
    return Finding("ConfigMapMissing", message, terminal=True) if message else None


def _missing(kind: str, named: Named, there: Named, field: Callable[[str], str]) -> str | None:
    for name, keys in named.items():
        what, where = f"the {kind} {name}", f"which {field(name)} names"
        if name not in there:
            return f"{what}, {where}, does not exist; create it"
        for key in sorted(keys - there[name]):
            return f"{what} has no key {key}, {where}; add it or correct that"
    return None
