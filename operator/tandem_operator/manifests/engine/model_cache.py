"""Models that are fetched once: their claims, the Jobs that fill them, and how engines find what is there.

The engine's Deployment keeps what was fetched for it, so that a Job that was cleaned up since is not missed, and no
restart and no other release of the operator asks the hub for anything. A Job is named after that and how it fetches, so
that one that failed is made anew as soon as these change.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from tandem_operator.api.cache import Eviction
from tandem_operator.api.component import FETCH, FETCHED, EngineComponent, Reference
from tandem_operator.api.fetch_progress import PORT
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.source import HF_PATTERN, HuggingFace
from tandem_operator.manifests.attempts import annotations, ended, job_name
from tandem_operator.manifests.claim import claim
from tandem_operator.manifests.component import Manifest, child
from tandem_operator.manifests.engine.helper_pod import Helper, template
from tandem_operator.manifests.platform import Platform
from tandem_operator.model_store.place import folder
from tandem_operator.model_store.selection import Selection

_STORE: Final = "/store"
_RETRIES: Final = 6
_LASTING: Final = {
    "rules": [
        {"action": "FailJob", "onExitCodes": {"containerName": FETCH, "operator": "In", "values": [3]}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]
}
"""What does not get better by itself is not tried again at once; a drained node is no failure."""
_RESOURCES: Final = {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}}


def claims(service: LLMService) -> Iterable[Manifest]:
    """Return the claims that the operator makes for models."""
    for component in service.engines:
        if (cache := component.model.cache) and (wanted := cache.claim):
            yield claim(service, component, str(component.cache_claim), wanted, wanted.access_modes)


def jobs(service: LLMService, platform: Platform, kept: Iterable[str] = ()) -> dict[str, Manifest]:
    """Return the Jobs that fetch models, by the tiers of their engines.

    `kept` are the sources that services name, which no Job deletes; they change nothing of what a Job is.
    """
    fetched = [each for each in service.engines if each.model.cache]
    return {each.tier: _job(service, each, platform, sorted(kept)) for each in fetched}


def with_cached(service: LLMService) -> LLMService:
    """Return the service as its engines see it: models that are fetched come from their claims."""
    return service.with_models(
        {
            each.tier: each.model.model_copy(
                update={
                    "source": f"pvc://{each.cache_claim}/{_folder(each)}",
                    "name": each.model.served_name,
                    "credentials": None,
                }
            )
            for each in service.engines
            if each.model.cache
        }
    )


def awaited(component: EngineComponent, job: Manifest, live: Mapping[Reference, Mapping[str, Any]]) -> bool:
    """Return whether an engine has to wait for this Job; `live` are the service's children."""
    deployment = live.get(Reference("Deployment", component.name))
    if deployment is not None and annotations(deployment).get(FETCHED) == _fetched(component):
        return False
    found = live.get(Reference("Job", job["metadata"]["name"]))
    return found is None or ended(found, "Complete") is None


def after(component: EngineComponent, deployment: Manifest) -> Manifest:
    """Return an engine's Deployment as one whose model is there, if one is fetched for it."""
    if component.model.cache is None:
        return deployment
    metadata = deployment["metadata"]
    marked = (metadata.get("annotations") or {}) | {FETCHED: _fetched(component)}
    return {**deployment, "metadata": {**metadata, "annotations": marked}}


def _fetched(component: EngineComponent) -> str:
    """Return what is fetched for an engine and where to; the source comes first."""
    return f"{component.model.source} {component.cache_claim}/{_folder(component)}"


def _is_fetched(source: str) -> bool:
    return bool(re.fullmatch(HF_PATTERN, source)) and ".." not in source


def _folder(component: EngineComponent) -> Path:
    source = component.model.parsed_source
    assert isinstance(source, HuggingFace)  # noqa: S101 # for mypy: the rules see to it
    return folder(Path(), source, Selection(tuple(filter(None, [component.model.file]))))


def _job(service: LLMService, component: EngineComponent, platform: Platform, kept: list[str]) -> Manifest:
    cache, model = component.model.cache, component.model
    args = ["fetch", str(model.source), f"--store={_STORE}", f"--progress-port={PORT}"]
    args += [f"--file={model.file}"] if model.file else []
    volumes = {_STORE: {"persistentVolumeClaim": {"claimName": component.cache_claim}}}
    helper = Helper(FETCH, args, _RESOURCES, volumes, read_only=False, port=PORT, placed=True)
    pods = template(service, component, platform, helper)
    name = job_name(component.name, "fetch", pods)
    if cache and cache.eviction is Eviction.WHEN_FULL:
        args += ["--evict", *(f"--keep={source}" for source in kept if _is_fetched(source))]
    return {
        **child(service, component, "batch/v1", "Job", name),
        "spec": {
            "backoffLimit": _RETRIES,
            "podFailurePolicy": _LASTING,
            "template": template(service, component, platform, helper),
        },
    }
