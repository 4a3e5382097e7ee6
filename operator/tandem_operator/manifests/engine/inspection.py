"""The Job that looks at a model's small files, to size its engine: in the namespace and with the rights of its user."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tandem_operator.api.component import INSPECTION, EngineComponent
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.source import Bucket, HuggingFace
from tandem_operator.manifests.attempts import job_name
from tandem_operator.manifests.component import Manifest, child
from tandem_operator.manifests.engine.helper_pod import Helper, template
from tandem_operator.manifests.engine.model_files import MOUNT_PATH, model_files
from tandem_operator.manifests.platform import Platform

_RETRIES: Final = 2
_DEADLINE_SECONDS: Final = 300
_RESOURCES: Final = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}


def build(service: LLMService, component: EngineComponent, platform: Platform) -> Manifest:
    """Return the Job, which is named after the model and what opens it."""
    files = model_files(component.model)
    downloaded = isinstance(component.model.parsed_source, HuggingFace | Bucket)
    source = str(component.model.source if downloaded else files.model)
    volumes = {MOUNT_PATH: files.volume} if files.volume else {}
    helper = Helper(INSPECTION, ["inspect", source], _RESOURCES, volumes, placed=bool(volumes))
    pods = template(service, component, platform, helper)
    name = job_name(component.name, "inspect", pods)
    return {
        **child(service, component, "batch/v1", "Job", name),
        "spec": {"backoffLimit": _RETRIES, "activeDeadlineSeconds": _DEADLINE_SECONDS, "template": pods},
    }


def said(pods: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return what the last of these that ended has said: `shape` or `problem`; empty if none ended."""
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
