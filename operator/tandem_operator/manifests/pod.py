"""What all tiers' pods have in common: the restricted Pod Security Standard and the spec's own wishes."""

from typing import Any, Final

from tandem_operator.api.component import Component
from tandem_operator.api.engine import EngineSpec
from tandem_operator.api.pod import PodSettings, Resources
from tandem_operator.manifests.component import Manifest
from tandem_operator.manifests.platform import Platform

_USER: Final = 10001
_STORAGE: Final = "ephemeral-storage"


def container(name: str, image: str, *, pre_stop: int = 0, read_only: bool = True, **fields: Any) -> Manifest:
    """Return a container that passes the restricted Pod Security Standard.

    `pre_stop`: seconds that it serves on after its pod has left the Services, before it is asked to end; 0 for none.
    `read_only`: whether its root file system is, which the standard does not ask for.
    """
    return {
        "name": name,
        "image": image,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": read_only,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **({"lifecycle": {"preStop": {"sleep": {"seconds": pre_stop}}}} if pre_stop else {}),
        **fields,
    }


def pod(component: Component[PodSettings], platform: Platform, **fields: Any) -> Manifest:
    """Return a pod spec with no privileges, placed as the settings say."""
    settings = component.spec
    wishes = {
        "priorityClassName": settings.priority_class_name,
        "nodeSelector": settings.node_selector,
        # Kubernetes leaves out what is empty, and so do we: it would look like a change for ever.
        "affinity": settings.affinity.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "imagePullSecrets": plain(settings.image_pull_secrets),
        "tolerations": plain(settings.tolerations),
    }
    return {
        "serviceAccountName": component.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            **({} if platform.assigns_users else dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"), _USER)),
            **settings.security_context.model_dump(by_alias=True, exclude_defaults=True),
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **{name: wish for name, wish in wishes.items() if wish},
        **fields,
    }


def environment(ours: list[Manifest], settings: PodSettings) -> list[Manifest]:
    """Return our variables with those of the spec in their place or after them."""
    merged = {variable["name"]: variable for variable in [*ours, *plain(settings.env)]}
    return list(merged.values())


def resources(wanted: Resources, accelerators: dict[str, str] | None = None, storage: str | None = None) -> Manifest:
    """Return the container's resources; accelerators are limits, as Kubernetes asks.

    `storage`: what its volumes may take of the node's disk, requested unless `wanted` names a request or limit.
    """
    named = _STORAGE in {*wanted.requests, *wanted.limits}
    requests = {**wanted.requests, **({_STORAGE: storage} if storage and not named else {})}
    written = {"requests": requests, "limits": {**wanted.limits, **(accelerators or {})}}
    return {name: amounts for name, amounts in written.items() if amounts}


def http_probe(path: str, *, period: int, timeout: int, failures: int, tls: bool = False) -> Manifest:
    """Return a probe of the container's http port; times in seconds."""
    return {
        "httpGet": {"path": path, "port": "http", **({"scheme": "HTTPS"} if tls else {})},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def service_port(name: str, port: int, *, tls: bool = False) -> Manifest:
    """Return a port of a Service that leads to the container's http port."""
    protocol = "https" if tls else "http"
    return {"name": name, "port": port, "targetPort": "http", "protocol": "TCP", "appProtocol": protocol}


def tolerations(spec: EngineSpec) -> list[Manifest]:
    """Return the taints that an engine's pods tolerate: nodes with accelerators often have one of their name."""
    own = [{"key": spec.accelerator, "operator": "Exists", "effect": "NoSchedule"}] if spec.gpu_count else []
    return [*own, *plain(spec.tolerations)]


def plain(models: list[Any]) -> list[Manifest]:
    """Return models in Kubernetes' spelling."""
    return [model.model_dump(mode="json", by_alias=True, exclude_none=True) for model in models]


def variables(values: dict[str, str]) -> list[Manifest]:
    """Return environment variables with plain values."""
    return [{"name": name, "value": value} for name, value in values.items()]
