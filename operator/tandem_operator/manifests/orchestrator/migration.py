"""The Job that brings a PostgreSQL up to date before orchestrators start that rely on it, and when it is made anew.

It is named after all that it depends on: with another image or database it is another Job. The Deployment's annotation
keeps the name of the last one that succeeded, so that a Job that was cleaned up since is not missed.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from tandem_contract import names

from tandem_operator.api.component import ATTEMPT, MIGRATION, Reference
from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests.component import Manifest, checksum, child, labels
from tandem_operator.manifests.orchestrator import config
from tandem_operator.manifests.platform import Platform
from tandem_operator.manifests.pod import container, environment, pod, resources, variables

MIGRATED_BY: Final = "tandem.dev/migrated-by"
"""Annotation of the Deployment."""
_SECRET: Final = "tandem.dev/secret-version"  # noqa: S105 # an annotation of a Job
_LONGEST_PREFIX: Final = 45
"""A Job's name is a label of its pods, of 63 characters at most."""
_MARK: Final = 8
_RETRIES: Final = 3
_DEADLINE_SECONDS: Final = 900
_PAUSES: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 4, 8, 16, 30))


def build(service: LLMService, platform: Platform, document: Manifest) -> Iterable[Manifest]:
    """Return the Job, where there is a PostgreSQL; `document` is the configuration file."""
    state = service.spec.orchestrator.state
    if state is None or state.postgres is None:
        return
    template = _template(service, platform)
    mark = checksum(json.dumps([template, document["database"]], sort_keys=True))[:_MARK]
    name = f"{service.name[:_LONGEST_PREFIX]}-migrate-{mark}"
    yield {
        **child(service, service.orchestrator, "batch/v1", "Job", name),
        "spec": {"backoffLimit": _RETRIES, "activeDeadlineSeconds": _DEADLINE_SECONDS, "template": template},
    }


def _template(service: LLMService, platform: Platform) -> Manifest:
    settings = service.spec.orchestrator
    ours = {"HOME": "/tmp", "TMPDIR": "/tmp"}  # noqa: S108 # an emptyDir
    migrate = container(
        MIGRATION,
        platform.images.orchestrator_of(service.spec),
        args=["migrate", f"--config={names.CONFIG_PATH}"],
        env=environment(variables(ours), settings),
        resources=resources(settings.resources),
        volumeMounts=[
            {"name": "files", "mountPath": config.FILES_PATH, "readOnly": True},
            *config.secret_mounts(service.state_secrets),
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
    )
    volumes = [
        {"name": "files", "projected": {"sources": [config.source(service)]}},
        *config.secret_volumes(service.state_secrets),
        {"name": "tmp", "emptyDir": {}},
    ]
    marked = {"app.kubernetes.io/component": MIGRATION, names.LABEL_TIER: MIGRATION}
    metadata: Manifest = {"labels": labels(service, service.orchestrator) | marked | settings.pod_labels}
    if settings.pod_annotations:
        metadata["annotations"] = settings.pod_annotations
    fields = {"restartPolicy": "Never", "containers": [migrate], "volumes": volumes}
    return {"metadata": metadata, "spec": pod(service.orchestrator, platform, **fields)}


def awaited(service: LLMService, platform: Platform, live: Mapping[Reference, Mapping[str, Any]]) -> Manifest | None:
    """Return the Job that new orchestrators have to wait for; `live` are the service's children."""
    deployment = live.get(Reference("Deployment", service.orchestrator.name))
    for job in build(service, platform, config.file(service)):
        name = job["metadata"]["name"]
        found = live.get(Reference("Job", name))
        is_rolled_out = deployment is not None and _annotations(deployment).get(MIGRATED_BY) == name
        if not is_rolled_out and (found is None or _ended(found, "Complete") is None):
            return job
    return None


def after(jobs: Iterable[Manifest], deployment: Manifest) -> Manifest:
    """Return the Deployment as one that was rolled out after these Jobs."""
    made = [job["metadata"]["name"] for job in jobs]
    return _annotated(deployment, {MIGRATED_BY: made[-1]}) if made else deployment


def at_rest(deployment: Manifest) -> Manifest:
    """Return the Deployment of a suspended service, which has no pods and so waits for no Job."""
    return _annotated(deployment, {})


def next_attempt(job: Manifest, live: Mapping[str, Any] | None, secret: str, now: datetime) -> Manifest | None:
    """Return the Job to make in the place of `live`; None while that one works, or rests after it failed.

    `secret` is the version of the Secret with the URL: with another, as at first, there is nothing to wait for.
    """
    if live is None:
        return _annotated(job, {ATTEMPT: "0", _SECRET: secret})
    if (failed := _ended(live, "Failed")) is None:
        return None
    if _annotations(live).get(_SECRET) != secret:
        return _annotated(job, {ATTEMPT: "0", _SECRET: secret})
    written = _annotations(live).get(ATTEMPT, "")
    attempt = int(written) if written.isdecimal() else 0
    if now - failed < _PAUSES[min(attempt, len(_PAUSES) - 1)]:
        return None
    return _annotated(job, {ATTEMPT: str(attempt + 1), _SECRET: secret})


def _annotated(manifest: Manifest, annotations: dict[str, str]) -> Manifest:
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "annotations"}
    return {**manifest, "metadata": {**metadata, "annotations": annotations} if annotations else metadata}


def _ended(job: Mapping[str, Any], how: str) -> datetime | None:
    """Return when a Job came to this end; None if it did not."""
    conditions = job.get("status", {}).get("conditions") or []
    times = [item["lastTransitionTime"] for item in conditions if (item["type"], item["status"]) == (how, "True")]
    return datetime.fromisoformat(times[0]) if times else None


def _annotations(item: Mapping[str, Any]) -> Mapping[str, str]:
    annotations: Mapping[str, str] = item["metadata"].get("annotations") or {}
    return annotations
