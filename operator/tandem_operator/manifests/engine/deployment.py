"""The engines' Deployments, and the chat template that one may mount."""

import math
from collections.abc import Iterable
from typing import Final

from tandem_contract import names

from tandem_operator.api.component import EngineComponent, Tier
from tandem_operator.api.engine import EngineSpec
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.pod import Resources
from tandem_operator.api.quantity import total
from tandem_operator.api.rollout import RolloutSpec, Strategy
from tandem_operator.engines import ENGINES
from tandem_operator.engines.base import CACHE_PATH, TEMPLATE_PATH, Engine, Environment, Probe
from tandem_operator.manifests.component import Manifest, checksum, child, deployment, grace_seconds
from tandem_operator.manifests.engine.adapter_files import adapter_volumes
from tandem_operator.manifests.engine.model_files import ModelFiles, model_files
from tandem_operator.manifests.engine.private import KEY_STAMP
from tandem_operator.manifests.platform import Platform
from tandem_operator.manifests.pod import container, environment, http_probe, plain, pod, resources, tolerations

_PULL_SECONDS: Final = 900
"""For scheduling and an image of ten gigabytes, before the startup budget begins."""
_SOON_KILLED: Final = {"terminationGracePeriodSeconds": 30}
"""An engine that does not answer has nothing to finish."""
_TEMPLATE_FOLDER, _, _TEMPLATE_FILE = TEMPLATE_PATH.rpartition("/")


def chat_template(service: LLMService) -> Iterable[Manifest]:
    """Return a ConfigMap with the chat template of each engine whose spec holds one as text."""
    for engine in service.engines:
        if template := engine.spec.tool_calling.inline_chat_template:
            yield template_file(service, engine, template)


def template_file(service: LLMService, engine: EngineComponent, template: str) -> Manifest:
    """Return the ConfigMap with an engine's chat template."""
    return {**child(service, engine, "v1", "ConfigMap"), "data": {_TEMPLATE_FILE: template}}


def build(service: LLMService, platform: Platform, key_version: str | None) -> Iterable[Manifest]:
    """Return a Deployment for each engine."""
    return (_deployment(service, component, platform, key_version) for component in service.engines)


def _deployment(
    service: LLMService, component: EngineComponent, platform: Platform, key_version: str | None
) -> Manifest:
    spec, files = component.spec, model_files(component.model, component.spec.draft)
    engine, template = ENGINES[spec.type], spec.tool_calling.inline_chat_template
    cache_size = spec.model_cache.size_limit
    volumes: list[Manifest] = [
        {"name": "cache", "emptyDir": {"sizeLimit": cache_size} if cache_size else {}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": _shared_memory(spec, engine)}},
    ]
    volumes += [{"name": name, **volume} for name, _, volume in files.volumes()]
    volumes += [{"name": volume.name, **volume.source} for volume in adapter_volumes(component.model)]
    if template:
        volumes.append({"name": "chat-template", "configMap": {"name": component.name}})
    grace = grace_seconds(service, _pre_stop(service, engine))
    fields: Manifest = {
        "terminationGracePeriodSeconds": grace,
        "containers": [_container(service, component, platform.images.engine(spec), files)],
        "volumes": volumes,
    }
    if spec.runtime_class_name:
        fields["runtimeClassName"] = spec.runtime_class_name
    if tolerated := tolerations(spec):
        fields["tolerations"] = tolerated
    pull_secrets = [*files.pull_secrets, *plain(spec.image_pull_secrets)]
    if pull_secrets:
        fields["imagePullSecrets"] = pull_secrets
    stamps = {
        KEY_STAMP: key_version,
        "tandem.dev/chat-template": checksum(template) if template else None,
    }
    return deployment(
        service,
        component,
        pod(component, platform, **fields),
        stamps,
        replicas=0 if service.spec.suspend else spec.replicas,
        progressDeadlineSeconds=spec.startup_seconds + grace + _PULL_SECONDS,
        strategy=_strategy(service.spec.rollout if component.tier == Tier.ENGINE else RolloutSpec()),
    )


def _strategy(rollout: RolloutSpec) -> Manifest:
    """Return how pods take each other's place: without a surge none needs a spare accelerator."""
    if rollout.strategy is Strategy.RECREATE:
        return {"type": "Recreate"}
    surge = rollout.max_surge if rollout.strategy is Strategy.ROLLING_UPDATE else 0
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": 0 if surge else 1}}


def _container(service: LLMService, component: EngineComponent, image: str, files: ModelFiles) -> Manifest:
    spec, engine = component.spec, ENGINES[component.spec.type]
    accelerators = {spec.accelerator: str(spec.gpu_count)} if spec.gpu_count else {}
    mounts: list[Manifest] = [
        {"name": "cache", "mountPath": CACHE_PATH},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108
    ]
    mounts += [{"name": name, "mountPath": path, "readOnly": True} for name, path, _ in files.volumes()]
    mounts += [volume.mount for volume in adapter_volumes(component.model)]
    if spec.tool_calling.inline_chat_template:
        mounts.append({"name": "chat-template", "mountPath": _TEMPLATE_FOLDER, "readOnly": True})
    return container(
        str(component.tier),
        image,
        pre_stop=_pre_stop(service, engine),
        # NVIDIA's hook for CDI links libraries into it before the container starts, and fails where it cannot.
        read_only=not spec.gpu_count,
        command=list(engine.command),
        args=engine.arguments(service, component, files, image),
        env=environment([*_variables(engine.environment(service, component)), *files.env], spec),
        ports=[{"name": "http", "containerPort": names.ENGINE_PORT, "protocol": "TCP"}],
        resources=resources(_memory_counted(spec), accelerators, spec.model_cache.size_limit),
        volumeMounts=mounts,
        startupProbe={
            **_probe(engine.starting, math.ceil(spec.startup_seconds / engine.starting.period)),
            **_SOON_KILLED,
        },
        readinessProbe=_probe(engine.serving),
        livenessProbe={**_probe(engine.living), **_SOON_KILLED},
    )


def _memory_counted(spec: EngineSpec) -> Resources:
    """Return the engine's resources together with the memory that it takes for its KV cache."""
    return spec.resources.with_more("memory", spec.kv_offload.size) if spec.kv_offload else spec.resources


def _shared_memory(spec: EngineSpec, engine: Engine) -> str:
    if spec.kv_offload and engine.offloads_to_shared_memory:
        return total(spec.shared_memory, spec.kv_offload.size)
    return spec.shared_memory


def _variables(values: Environment) -> Iterable[Manifest]:
    for name, value in values.items():
        yield {"name": name, ("value" if isinstance(value, str) else "valueFrom"): value}


def _pre_stop(service: LLMService, engine: Engine) -> int:
    drain = 0 if engine.drains else math.ceil(service.spec.orchestrator.config.drain_seconds)
    return engine.pre_stop_seconds + drain


def _probe(probe: Probe, failures: int | None = None) -> Manifest:
    return http_probe(probe.path, period=probe.period, timeout=probe.timeout, failures=failures or probe.failures)
