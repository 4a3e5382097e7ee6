"""Deployments of both tiers."""

import json
import math
from collections.abc import Iterable
from typing import Any, Final

from tandem_contract import names
from tandem_contract.config import NEEDS_RESTART

from tandem_operator.api.engine import EngineType
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.naming import Tier, child_name, engine_key_name, metrics_port, selector, serves_tls
from tandem_operator.api.pod import PodSettings
from tandem_operator.engines import vllm
from tandem_operator.manifests import configmap
from tandem_operator.manifests.component import Manifest, checksum, child, labels
from tandem_operator.manifests.engine.model_files import model_files
from tandem_operator.manifests.orchestrator import config
from tandem_operator.manifests.orchestrator.autoscaler import autoscaled
from tandem_operator.manifests.platform import Platform
from tandem_operator.manifests.pod import (
    container,
    environment,
    http_probe,
    plain,
    pod,
    resources,
    variables,
)

_ENGINES: Final = {EngineType.VLLM: vllm.build}
_SPREAD_OVER: Final = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
_PRE_STOP_SECONDS: Final = 5
"""For load balancers to forget an orchestrator."""
_EXIT_SECONDS: Final = 15
"""From the last answer to the process's end."""
_PULL_SECONDS: Final = 900
"""For scheduling and an image of ten gigabytes, before the startup budget begins."""


def build(service: LLMService, platform: Platform, key_version: str | None) -> Iterable[Manifest]:
    """Return both Deployments; `key_version` rolls their pods when the engine's key changes."""
    yield engine(service, platform, key_version)
    yield orchestrator(service, platform, key_version)


def engine(service: LLMService, platform: Platform, key_version: str | None) -> Manifest:
    """Return the engine's Deployment; its rollout needs no spare accelerator."""
    spec, files = service.spec.engine, model_files(service)
    template = configmap.inline_chat_template(service)
    cache_size = spec.model_cache.size_limit
    volumes: list[Manifest] = [
        {"name": "cache", "emptyDir": {"sizeLimit": cache_size} if cache_size else {}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": spec.shared_memory}},
    ]
    if files.volume:
        volumes.append({"name": "model", **files.volume})
    if template:
        volumes.append({"name": "chat-template", "configMap": {"name": child_name(service, Tier.ENGINE)}})
    grace = _grace_seconds(service, vllm.PRE_STOP_SECONDS)
    fields: Manifest = {
        "terminationGracePeriodSeconds": grace,
        "containers": [_ENGINES[spec.type](service, platform.images.engine(spec), files)],
        "volumes": volumes,
    }
    if spec.runtime_class_name:
        fields["runtimeClassName"] = spec.runtime_class_name
    if spec.gpu_count:  # GPU nodes are commonly tainted with the resource's name
        taint = {"key": spec.accelerator, "operator": "Exists", "effect": "NoSchedule"}
        fields["tolerations"] = [taint, *plain(spec.tolerations)]
    pull_secrets = [*files.pull_secrets, *plain(spec.image_pull_secrets)]
    if pull_secrets:
        fields["imagePullSecrets"] = pull_secrets
    stamps = {
        "tandem.dev/engine-key": key_version,
        "tandem.dev/chat-template": checksum(template) if template else None,
    }
    return _deployment(
        service,
        Tier.ENGINE,
        spec,
        pod(service, Tier.ENGINE, spec, platform, **fields),
        stamps,
        replicas=0 if service.spec.suspend else spec.replicas,
        progressDeadlineSeconds=spec.startup_seconds + grace + _PULL_SECONDS,
        strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    )


def orchestrator(service: LLMService, platform: Platform, key_version: str | None) -> Manifest:
    """Return the orchestrator's Deployment, without replicas where the autoscaler owns them."""
    spec = service.spec.orchestrator
    files = {
        "sources": [
            {"configMap": {"name": child_name(service, Tier.ORCHESTRATOR), "items": [_item(names.CONFIG_KEY)]}},
            {"secret": {"name": engine_key_name(service), "items": [_item(names.ENGINE_KEY, "engine-key/")]}},
        ]
    }
    fields = {
        "terminationGracePeriodSeconds": _grace_seconds(service, _PRE_STOP_SECONDS),
        "topologySpreadConstraints": [_spread(service, key) for key in _SPREAD_OVER],
        "containers": [_orchestrator_container(service, spec.image or platform.images.orchestrator)],
        "volumes": [
            {"name": "files", "projected": files},
            *config.volumes(spec.config),
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    stamps = {"tandem.dev/engine-key": key_version, "tandem.dev/config": _restart_mark(service)}
    replicas = {} if autoscaled(service) else {"replicas": 0 if service.spec.suspend else spec.replicas.min}
    return _deployment(
        service,
        Tier.ORCHESTRATOR,
        spec,
        pod(service, Tier.ORCHESTRATOR, spec, platform, **fields),
        stamps,
        **replicas,
        strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
    )


def _orchestrator_container(service: LLMService, image: str) -> Manifest:
    spec, tls, metrics = service.spec.orchestrator, serves_tls(service), metrics_port(service)
    # As a variable, which an older image of the orchestrator leaves alone; in its file it would refuse it.
    ours = {"HOME": "/tmp", "TMPDIR": "/tmp", "TANDEM_SERVER__METRICS_PORT": str(metrics)}  # noqa: S108 # an emptyDir
    return container(
        "orchestrator",
        image,
        pre_stop=_PRE_STOP_SECONDS,
        args=["serve", f"--config={names.CONFIG_PATH}"],
        env=environment(variables(ours), spec),
        ports=[
            {"name": "http", "containerPort": names.ORCHESTRATOR_PORT, "protocol": "TCP"},
            {"name": names.METRICS_PORT_NAME, "containerPort": metrics, "protocol": "TCP"},
        ],
        resources=resources(spec.resources),
        volumeMounts=[
            {"name": "files", "mountPath": names.CONFIG_PATH.rpartition("/")[0], "readOnly": True},
            *config.mounts(spec.config),
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
        startupProbe=http_probe("/live", period=2, timeout=2, failures=60, tls=tls),
        readinessProbe=http_probe("/ready", period=5, timeout=3, failures=3, tls=tls),
        livenessProbe=http_probe("/live", period=10, timeout=5, failures=6, tls=tls),
    )


def _restart_mark(service: LLMService) -> str:
    """Change with the settings that a process reads only when it starts; the others reach it with the file."""
    config = configmap.orchestrator_config(service)
    read_at_start = {path: _at(config, path) for path in NEEDS_RESTART}
    return checksum(json.dumps(read_at_start, sort_keys=True))


def _at(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = (document or {}).get(name)
    return document


def _deployment(
    service: LLMService,
    tier: Tier,
    settings: PodSettings,
    pod_spec: Manifest,
    stamps: dict[str, str | None],
    **fields: object,
) -> Manifest:
    metadata: Manifest = {"labels": labels(service, tier) | settings.pod_labels}
    annotations = settings.pod_annotations | {name: value for name, value in stamps.items() if value}
    if annotations:
        metadata["annotations"] = annotations
    manifest = child(service, tier, "apps/v1", "Deployment")
    manifest["metadata"]["labels"] |= settings.pod_labels
    return {
        **manifest,
        "spec": {
            **fields,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": selector(service, tier)},
            "template": {"metadata": metadata, "spec": pod_spec},
        },
    }


def _grace_seconds(service: LLMService, pre_stop: int) -> int:
    """Long enough for the longest request that the orchestrator waits for, on either tier."""
    return pre_stop + math.ceil(service.spec.orchestrator.config.drain_seconds) + _EXIT_SECONDS


def _spread(service: LLMService, key: str) -> Manifest:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(service, Tier.ORCHESTRATOR)},
        "matchLabelKeys": ["pod-template-hash"],
    }


def _item(key: str, folder: str = "") -> Manifest:
    return {"key": key, "path": f"{folder}{key}"}
