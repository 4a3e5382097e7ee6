"""The service's objects as a roll-out has them now."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tandem_contract import names

from tandem_operator.api.component import CANDIDATE, MODELS, Reference
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.rollout import Phase, RolloutStatus
from tandem_operator.manifests.attempts import annotated
from tandem_operator.manifests.component import CONFIG_MAP, DEPLOYMENT, Manifest, child
from tandem_operator.manifests.engine import candidate
from tandem_operator.manifests.engine.deployment import template_file
from tandem_operator.rollouts.decision import weight
from tandem_operator.rollouts.record import VERSION, Record, name, written
from tandem_operator.rollouts.version import Version, with_key


def configured(service: LLMService, record: Record) -> LLMService:
    """Return the service whose orchestrator is told of the engine that serves, and of its candidate."""
    urls = {each.name: each.url for each in service.configuration.upstreams}
    stable = record.current.upstream_at(urls[service.engine.tier])
    if (trial := record.trial) is None:
        return service.with_upstreams(stable)
    beside = candidate.candidate(service.engine)
    share = {"name": CANDIDATE, "candidate_of": service.engine.tier, "weight": weight(record, service.spec.rollout)}
    url = f"http://{service.pods_service_name(beside)}:{names.ENGINE_PORT}"
    return service.with_upstreams(stable, trial.version.upstream_at(url, **share))


def rolled(
    service: LLMService, manifests: Iterable[Manifest], record: Record, status: RolloutStatus, key_version: str | None
) -> list[Manifest]:
    """Return the objects with the main engine's version of the record, its candidate's beside them, and the record."""
    plain, engine = list(manifests), Reference(DEPLOYMENT, service.engine.name)
    found = list(_of(service, plain, record.current, key_version))
    at = next(index for index, each in enumerate(found) if _reference(each) == engine)
    beside: list[Manifest] = []
    if record.trial:
        beside = candidate.objects(service.engine, _of(service, plain, record.trial.version, key_version))
    paused = {"paused": True} if status.phase is Phase.PAUSED and not record.served else {}
    deployment = {**found[at], "spec": {**found[at]["spec"], **paused}}
    head = child(service, service.engine, "v1", CONFIG_MAP, name(service.engine.name))
    head = annotated(head, {MODELS: " ".join(record.models)} if record.models else {})
    return [{**head, "data": written(record)}, *found[:at], *beside, deployment, *found[at + 1 :]]


def _of(
    service: LLMService, manifests: Iterable[Manifest], version: Version, key_version: str | None
) -> Iterator[Manifest]:
    """Yield the objects with another version of the main engine."""
    ours = service.engine.name
    if version.chat_template:
        yield template_file(service, service.engine, version.chat_template)
    for each in manifests:
        match _reference(each):
            case (kind, its) if (kind, its) == (CONFIG_MAP, ours):
                continue
            case (kind, its) if (kind, its) == (DEPLOYMENT, ours):
                yield _with(each, version, key_version)
            case _:
                yield each


def _with(deployment: Manifest, version: Version, key_version: str | None) -> Manifest:
    metadata, spec = deployment["metadata"], deployment["spec"]
    annotations = {**(metadata.get("annotations") or {}), VERSION: version.mark}
    template = with_key(version.template, key_version)
    return {**deployment, "metadata": {**metadata, "annotations": annotations}, "spec": {**spec, "template": template}}


def _reference(manifest: Mapping[str, Any]) -> Reference:
    return Reference(manifest["kind"], manifest["metadata"]["name"])
