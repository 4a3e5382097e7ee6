"""The orchestrator's Deployment, and that of the pods which read documents in its place."""

import json
from collections.abc import Iterable
from typing import Any, Final

from tandem_contract import names
from tandem_contract.config import NEEDS_RESTART

from tandem_operator.api.component import Component
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.orchestrator import OrchestratorSpec
from tandem_operator.manifests.component import Manifest, checksum, deployment, grace_seconds
from tandem_operator.manifests.orchestrator import config, documents
from tandem_operator.manifests.orchestrator.autoscaler import replicas
from tandem_operator.manifests.orchestrator.volumes import STRATEGY, mounts, one_pod_at_a_time, volumes
from tandem_operator.manifests.platform import Platform
from tandem_operator.manifests.pod import container, environment, http_probe, pod, resources, variables

_SPREAD_OVER: Final = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
_PRE_STOP_SECONDS: Final = 5
"""For load balancers to forget an orchestrator."""

_STRATEGY: Final = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}}


def build(service: LLMService, platform: Platform, document: Manifest) -> Iterable[Manifest]:
    """Return a Deployment for each component, without replicas where the autoscaler owns them.

    `document` is the configuration file. Another key of the engines is none of its business: pods read that again when
    its file changes. New ones beside engines that are being replaced would cut off the requests that wait for these.
    """
    stamps: dict[str, str | None] = {"tandem.dev/config": _restart_mark(document)}
    for component in service.orchestrators:
        count = replicas(service, component)
        yield deployment(
            service,
            component,
            _pod(service, component, platform),
            stamps,
            **({} if count is None else {"replicas": count}),
            strategy=STRATEGY if one_pod_at_a_time(service) else _STRATEGY,
        )


def _pod(service: LLMService, component: Component[OrchestratorSpec], platform: Platform) -> Manifest:
    sources = [config.source(service), *(_keys(service) if service.engines else [])]
    fields = {
        "terminationGracePeriodSeconds": grace_seconds(service, _PRE_STOP_SECONDS),
        "topologySpreadConstraints": [_spread(component, key) for key in _SPREAD_OVER],
        "containers": [_container(service, component, platform.images.orchestrator_of(service.spec))],
        "volumes": [
            {"name": "files", "projected": {"sources": sources}},
            *config.volumes(service),
            *volumes(service),
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    return pod(component, platform, **fields)


def _keys(service: LLMService) -> Iterable[Manifest]:
    """Return the engines' key and, while there is one, that before it, which engines have that were not updated yet."""
    for key, extra in ((names.ENGINE_KEY, {}), (names.PREVIOUS_ENGINE_KEY, {"optional": True})):
        yield {"secret": {"name": service.engine_key_name, "items": [config.item(key, "engine-key/")], **extra}}


def _container(service: LLMService, component: Component[OrchestratorSpec], image: str) -> Manifest:
    spec, tls, metrics = component.spec, service.serves_tls, service.metrics_port
    # As a variable, which an older image of the orchestrator leaves alone; in its file it would refuse it.
    ours = {"HOME": "/tmp", "TMPDIR": "/tmp", "TANDEM_SERVER__METRICS_PORT": str(metrics)}  # noqa: S108 # an emptyDir
    ours |= documents.variables(service, component)
    return container(
        str(component.tier),
        image,
        pre_stop=_PRE_STOP_SECONDS,
        args=["serve", f"--config={names.CONFIG_PATH}"],
        env=environment(variables(ours), spec),
        ports=[
            {"name": "http", "containerPort": names.ORCHESTRATOR_PORT, "protocol": "TCP"},
            {"name": names.METRICS_PORT_NAME, "containerPort": metrics, "protocol": "TCP"},
        ],
        resources=resources(spec.resources, storage=documents.storage(service, component)),
        volumeMounts=[
            {"name": "files", "mountPath": config.FILES_PATH, "readOnly": True},
            *config.mounts(service),
            *mounts(service),
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
        startupProbe=http_probe("/live", period=2, timeout=2, failures=60, tls=tls),
        readinessProbe=http_probe("/ready", period=5, timeout=3, failures=3, tls=tls),
        livenessProbe=http_probe("/live", period=10, timeout=5, failures=6, tls=tls),
    )


def _restart_mark(document: Manifest) -> str:
    """Change with the settings that a process reads only when it starts; the others reach it with the file."""
    read_at_start = {path: _at(document, path) for path in NEEDS_RESTART}
    return checksum(json.dumps(read_at_start, sort_keys=True))


def _at(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = (document or {}).get(name)
    return document


def _spread(component: Component[OrchestratorSpec], key: str) -> Manifest:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": dict(component.selector)},
        "matchLabelKeys": ["pod-template-hash"],
    }
