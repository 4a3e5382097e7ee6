"""What a platform lets an LLMService ask for, whoever writes it: `authors` in the values of the operator's chart."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final, Self

from tandem_contract.config import SecretFile, Section

from tandem_operator.api.component import ENGINE_KEY_SUFFIX
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.model import ModelCredentials
from tandem_operator.api.networking import ServiceType
from tandem_operator.api.pod import EnvSource, KeyReference, PodSettings, PullSecret
from tandem_operator.api.settings import sections

VARIABLE: Final = "TANDEM_AUTHORS"
_CONTROL_PLANE: Final = "node-role.kubernetes.io/"
_EVERY_TAINT: Final = ""


class AllowedSecrets(Section):
    """Secrets that may be named."""

    names: tuple[str, ...] = ("*",)
    """Patterns of their names."""
    selector: str = ""
    """Label selector that they must fulfil as well; empty for none."""


class Allowance(Section):
    """What may be asked for. Patterns are as those of file names: `*` stands for anything."""

    secrets: AllowedSecrets = AllowedSecrets()
    """Secrets of the service's namespace."""
    service_types: tuple[ServiceType, ...] = tuple(ServiceType)
    """Types of the Service that clients call."""
    service_annotations: tuple[str, ...] = ("*",)
    """Patterns of that Service's annotations."""
    tolerations: tuple[str, ...] = ("*",)
    """Patterns of taint keys. The control plane's must be written out, as must the empty key, which is every taint."""
    pod_labels: tuple[str, ...] = ("*",)
    """Patterns of the names of pods' labels."""
    pod_annotations: tuple[str, ...] = ("*",)
    """Patterns of the names of pods' annotations."""
    priority_class_names: tuple[str, ...] = ("*",)
    """Patterns of PriorityClasses."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read TANDEM_AUTHORS, a JSON object with these fields; ValidationError says what is wrong with it."""
        return cls.model_validate_json(environment.get(VARIABLE) or "{}")


def named_secrets(service: LLMService) -> dict[str, str]:
    """Return the Secrets that a spec names, each with the path of the first field that does."""
    found: dict[str, str] = {}
    for path, section in sections(service.spec, ("spec",)):
        match section:
            case (
                SecretFile(secret_name=str(name))
                | ModelCredentials(secret_name=name)
                | PullSecret(name=name)
                | EnvSource(secret_key_ref=KeyReference(name=name))
            ):
                found.setdefault(name, ".".join(path))
    return found


def excess(service: LLMService, allowance: Allowance, selected: Collection[str] | None) -> list[str]:
    """Return a line for each thing that is asked for and not allowed: its field, and what to do.

    `selected`: the namespace's Secrets that fulfil the allowance's selector; None where it has none.
    """
    return [
        *_secrets(named_secrets(service), allowance.secrets, selected),
        *_service(service, allowance),
        *(line for engine in service.engines for line in _pods(engine.spec_path, engine.spec, allowance)),
        *_pods("spec.orchestrator", service.spec.orchestrator, allowance),
    ]


def _secrets(named: Mapping[str, str], allowed: AllowedSecrets, selected: Collection[str] | None) -> Iterator[str]:
    for name, field in named.items():
        if name.endswith(ENGINE_KEY_SUFFIX):
            yield f"{field}: Secret {name} is called as an engine's key, which is for its orchestrator alone; rename it"
        elif not _matches(name, allowed.names):
            yield _line(field, f"Secret {name}", "secrets.names")
        elif selected is not None and name not in selected:
            yield f"{field}: Secret {name} is not allowed; it needs labels that fulfil {allowed.selector}"


def _service(service: LLMService, allowance: Allowance) -> Iterator[str]:
    field, settings = "spec.networking.service", service.spec.networking.service
    if settings.type not in allowance.service_types:
        yield _line(f"{field}.type", settings.type, "serviceTypes")
    yield from _beyond(
        f"{field}.annotations", settings.annotations, "serviceAnnotations", allowance.service_annotations
    )


def _pods(tier: str, settings: PodSettings, allowance: Allowance) -> Iterator[str]:
    for index, toleration in enumerate(settings.tolerations):
        key = toleration.key or _EVERY_TAINT
        if not _tolerated(key, allowance.tolerations):
            yield _line(f"{tier}.tolerations.{index}", f"tolerating {key or 'every taint'}", "tolerations")
    yield from _beyond(f"{tier}.podLabels", settings.pod_labels, "podLabels", allowance.pod_labels)
    yield from _beyond(f"{tier}.podAnnotations", settings.pod_annotations, "podAnnotations", allowance.pod_annotations)
    classes = [settings.priority_class_name] if settings.priority_class_name else []
    yield from _beyond(f"{tier}.priorityClassName", classes, "priorityClassNames", allowance.priority_class_names)


def _beyond(field: str, names: Iterable[str], value: str, patterns: Collection[str]) -> Iterator[str]:
    return (_line(field, name, value) for name in names if not _matches(name, patterns))


def _tolerated(key: str, patterns: Collection[str]) -> bool:
    if key == _EVERY_TAINT or key.startswith(_CONTROL_PLANE):
        return key in patterns
    return _matches(key, patterns)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _line(field: str, what: str, value: str) -> str:
    return f"{field}: {what} is not allowed; leave it out, or have authors.{value} of the operator's chart allow it"
