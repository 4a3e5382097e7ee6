"""The Job that brings a PostgreSQL up to date before orchestrators start that rely on it.

It is named after all that it depends on: with another image or database it is another Job. The Deployment's annotation
keeps the name of the last one that succeeded, so that a Job that was cleaned up since is not missed.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tandem_contract import names

from tandem_operator.api.component import MIGRATION, Reference
from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests.attempts import annotated, annotations, ended, job_name
from tandem_operator.manifests.component import Manifest, child, labels
from tandem_operator.manifests.orchestrator import config
from tandem_operator.manifests.platform import Platform
from tandem_operator.manifests.pod import container, environment, pod, resources, variables

MIGRATED_BY: Final = "tandem.dev/migrated-by"
"""Annotation of the Deployment."""
_RETRIES: Final = 3
_DEADLINE_SECONDS: Final = 900


def build(service: LLMService, platform: Platform, document: Manifest) -> Iterable[Manifest]:
    """Return the Job, where there is a PostgreSQL; `document` is the configuration file."""
    state = service.spec.orchestrator.state
    if state is None or state.postgres is None:
        return
    template = _template(service, platform)
    name = job_name(service.name, "migrate", [template, document["database"]])
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
        is_rolled_out = deployment is not None and annotations(deployment).get(MIGRATED_BY) == name
        if not is_rolled_out and (found is None or ended(found, "Complete") is None):
            return job
    return None


def after(jobs: Iterable[Manifest], deployment: Manifest) -> Manifest:
    """Return the Deployment as one that was rolled out after these Jobs."""
    made = [job["metadata"]["name"] for job in jobs]
    return annotated(deployment, {MIGRATED_BY: made[-1]}) if made else deployment
