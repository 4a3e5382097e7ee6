"""The Job that looks at a model's small files, to size its engine: in the namespace and with the rights of its user."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tandem_contract import names

from tandem_operator.api.component import INSPECTION, EngineComponent
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.source import Bucket, HuggingFace
from tandem_operator.manifests.component import Manifest, checksum, child, labels
from tandem_operator.manifests.engine.model_files import MOUNT_PATH, ModelFiles, model_files
from tandem_operator.manifests.platform import Platform
from tandem_operator.manifests.pod import container, pod, variables

_LONGEST_PREFIX: Final = 45
"""A Job's name is a label of its pods, of 63 characters at most."""
_MARK: Final = 8
_RETRIES: Final = 2
_DEADLINE_SECONDS: Final = 300
_RESOURCES: Final = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
_JOB_OF_POD: Final = "batch.kubernetes.io/job-name"
_PLACED: Final = frozenset({"nodeSelector", "affinity", "priorityClassName"})
"""It needs no accelerator, and so none of the engine's nodes."""


def build(service: LLMService, component: EngineComponent, platform: Platform) -> Manifest:
    """Return the Job, which is named after the model and what opens it."""
    template = _template(service, component, platform)
    mark = checksum(json.dumps(template, sort_keys=True))[:_MARK]
    name = f"{component.name[:_LONGEST_PREFIX]}-inspect-{mark}"
    return {
        **child(service, component, "batch/v1", "Job", name),
        "spec": {"backoffLimit": _RETRIES, "activeDeadlineSeconds": _DEADLINE_SECONDS, "template": template},
    }


def pods_of(job: Manifest, pods: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the pods of a Job and of those like it before, the newest last."""
    name = job["metadata"]["name"]
    found = [each for each in pods if (each["metadata"].get("labels") or {}).get(_JOB_OF_POD) == name]
    return sorted(found, key=lambda each: str(each["metadata"].get("creationTimestamp", "")))


def said(pods: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return what the newest of these that ended has said: `shape` or `problem`; empty if none ended."""
    ends = [end for each in pods for end in _ends(each)]
    if not ends:
        return {}
    message = str(ends[-1].get("message", ""))
    try:
        read = json.loads(message)
    except ValueError:
        read = None
    return read if isinstance(read, dict) else {"problem": message}


def _ends(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if end := (status.get("state") or {}).get("terminated"):
            yield end


def _template(service: LLMService, component: EngineComponent, platform: Platform) -> Manifest:
    files = model_files(component.model)
    ours = {"HOME": "/tmp", "TMPDIR": "/tmp", "HF_HUB_DISABLE_TELEMETRY": "1"}  # noqa: S108 # an emptyDir
    volumes: list[Manifest] = [{"name": "tmp", "emptyDir": {}}]
    mounts: list[Manifest] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    if files.volume:
        volumes.append({"name": "model", **files.volume})
        mounts.append({"name": "model", "mountPath": MOUNT_PATH, "readOnly": True})
    inspect = container(
        INSPECTION,
        platform.images.operator,
        args=["inspect", _source(component, files)],
        env=[*variables(ours), *_access(component, files)],
        resources=_RESOURCES,
        volumeMounts=mounts,
    )
    fields = {"restartPolicy": "Never", "containers": [inspect], "volumes": volumes}
    pull_secrets = [*files.pull_secrets, *(each.model_dump() for each in component.spec.image_pull_secrets)]
    if pull_secrets:
        fields["imagePullSecrets"] = pull_secrets
    spec = pod(component, platform, **fields, serviceAccountName="default")
    marked = {"app.kubernetes.io/component": INSPECTION, names.LABEL_TIER: INSPECTION}
    return {
        "metadata": {"labels": labels(service, component) | marked},
        "spec": {name: value for name, value in spec.items() if name not in _PLACED},
    }


def _source(component: EngineComponent, files: ModelFiles) -> str:
    if isinstance(component.model.parsed_source, HuggingFace | Bucket):
        return str(component.model.source)
    return files.model


def _access(component: EngineComponent, files: ModelFiles) -> list[Manifest]:
    """Return what opens the source, and the engine's own variables that say where the hub is."""
    reaching = [
        each for each in component.spec.env if each.name.startswith("HF_") or each.name.lower().endswith("_proxy")
    ]
    ours = [each for each in files.env if each["name"] != "HF_HUB_OFFLINE"]
    return [*ours, *(each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in reaching)]
