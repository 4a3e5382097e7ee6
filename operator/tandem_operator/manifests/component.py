"""What every component has: labels and owner, a ServiceAccount, a Deployment, a budget for drains, a ServiceMonitor."""

import hashlib
import math
from collections.abc import Iterable
from typing import Any, Final

from tandem_contract import names

from tandem_operator.api.component import Component, EngineComponent
from tandem_operator.api.llmservice import API_VERSION, LLMService
from tandem_operator.api.pod import PodSettings
from tandem_operator.engines import ENGINES
from tandem_operator.manifests.platform import Platform

Manifest = dict[str, Any]

MANAGER: Final = "tandem-operator"
DEPLOYMENT: Final = "Deployment"
CONFIG_MAP: Final = "ConfigMap"
_EXIT_SECONDS: Final = 15
"""From the last answer to the process's end."""


def labels(service: LLMService, component: Component[Any]) -> dict[str, str]:
    """Return all labels of a component's objects."""
    return {
        "app.kubernetes.io/name": f"tandem-{component.tier}",
        "app.kubernetes.io/instance": service.name,
        "app.kubernetes.io/component": str(component.tier),
        "app.kubernetes.io/part-of": "tandem",
        "app.kubernetes.io/managed-by": MANAGER,
        **component.selector,
    }


def child(
    service: LLMService, component: Component[Any], api_version: str, kind: str, name: str | None = None
) -> Manifest:
    """Return the head of an object: type, name, labels, and the owner where the resource exists already."""
    metadata: Manifest = {
        "name": name or component.name,
        "namespace": service.namespace,
        "labels": labels(service, component),
    }
    if service.metadata.uid:
        metadata["ownerReferences"] = [
            {
                "apiVersion": API_VERSION,
                "kind": names.KIND,
                "name": service.name,
                "uid": service.metadata.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def service_accounts(service: LLMService) -> Iterable[Manifest]:
    """Return a ServiceAccount for each component, with no rights and no mounted token."""
    for component in service.components:
        yield {**child(service, component, "v1", "ServiceAccount"), "automountServiceAccountToken": False}


def deployment(
    service: LLMService,
    component: Component[PodSettings],
    pod: Manifest,
    stamps: dict[str, str | None],
    **fields: object,
) -> Manifest:
    """Return a Deployment; a change of `stamps`, which stand in its pods' annotations, rolls it."""
    settings = component.spec
    metadata: Manifest = {"labels": labels(service, component) | settings.pod_labels}
    annotations = settings.pod_annotations | {name: value for name, value in stamps.items() if value}
    if annotations:
        metadata["annotations"] = annotations
    manifest = child(service, component, "apps/v1", "Deployment")
    manifest["metadata"]["labels"] |= settings.pod_labels
    return {
        **manifest,
        "spec": {
            **fields,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": dict(component.selector)},
            "template": {"metadata": metadata, "spec": pod},
        },
    }


def grace_seconds(service: LLMService, pre_stop: int) -> int:
    """Return enough for the longest request that the orchestrator waits for, in either component."""
    return pre_stop + math.ceil(service.spec.orchestrator.config.drain_seconds) + _EXIT_SECONDS


def disruption_budgets(service: LLMService) -> Iterable[Manifest]:
    """Return budgets that let drains take as many engines as the spec says, and of orchestrators one pod at a time."""
    away: list[tuple[Component[Any], int | str]] = [
        *((engine, engine.spec.pod_disruption_budget.max_unavailable) for engine in service.engines),
        *((component, 1) for component in service.orchestrators),
    ]
    for component, pods in away:
        yield {
            **child(service, component, "policy/v1", "PodDisruptionBudget"),
            "spec": {
                "maxUnavailable": pods,
                "unhealthyPodEvictionPolicy": "AlwaysAllow",
                "selector": {"matchLabels": dict(component.selector)},
            },
        }


def service_monitors(service: LLMService, platform: Platform) -> Iterable[Manifest]:
    """Return a ServiceMonitor for each component where the Prometheus operator's API exists."""
    monitoring = service.spec.monitoring
    if not (monitoring.enabled and platform.has_service_monitors):
        return
    engines = (
        (engine, _engine_metrics(service, engine, path))
        for engine in service.engines
        if (path := ENGINES[engine.spec.type].metrics_path)
    )
    orchestrators = ((component, _metrics(service)) for component in service.orchestrators)
    for component, where in (*engines, *orchestrators):
        monitor = child(service, component, "monitoring.coreos.com/v1", "ServiceMonitor")
        monitor["metadata"]["labels"] = {**monitoring.labels, **monitor["metadata"]["labels"]}
        yield {
            **monitor,
            "spec": {"selector": {"matchLabels": dict(component.selector)}, "endpoints": [where]},
        }


def checksum(text: str) -> str:
    """Return a short mark that changes when the text does."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _engine_metrics(service: LLMService, engine: EngineComponent, path: str) -> Manifest:
    """Return where an engine tells its metrics, with its key only if it tells them nobody else."""
    endpoint = {"port": "http", "path": path, "interval": service.spec.monitoring.interval}
    if not ENGINES[engine.spec.type].metrics_need_key:
        return endpoint
    key = {"name": service.engine_key_name, "key": names.ENGINE_KEY}
    return {**endpoint, "authorization": {"credentials": key}}


def _metrics(service: LLMService) -> Manifest:
    # A port of the pods alone: the Service, and so its clients, has it not.
    endpoint = {"targetPort": names.METRICS_PORT_NAME, "path": "/metrics", "interval": service.spec.monitoring.interval}
    if not service.serves_tls:
        return endpoint
    # Pods are scraped by their addresses, which no certificate names.
    return {**endpoint, "scheme": "https", "tlsConfig": {"insecureSkipVerify": True}}
