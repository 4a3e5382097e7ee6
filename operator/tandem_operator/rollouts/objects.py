"""The service's objects as a roll-out has them now."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tandem_contract import names

from tandem_operator.api.component import CANDIDATE, Reference
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.rollout import Phase, RolloutStatus
from tandem_operator.manifests.component import CONFIG_MAP, DEPLOYMENT, Manifest
from tandem_operator.manifests.engine import candidate
from tandem_operator.manifests.engine.deployment import template_file
from tandem_operator.rollouts.decision import weight
from tandem_operator.rollouts.record import ANNOTATION, VERSION, Record, written
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
    """Return the objects with the main engine's version of the record, and its candidate's beside them."""
    plain = list(manifests)
    found = list(_of(service, plain, record.current, key_version))
    beside: list[Manifest] = []
    if record.trial:
        tried = _of(service, plain, record.trial.version, key_version)
        beside = [_marked(each, record.trial.version) for each in candidate.objects(service.engine, tried)]
    engine = Reference(DEPLOYMENT, service.engine.name)
    made = [_recorded(each, record, status) if _reference(each) == engine else each for each in found]
    at = next(index for index, each in enumerate(made) if _reference(each) == engine)
    return [*made[:at], *beside, *made[at:]]


def _of(
    service: LLMService, manifests: Iterable[Manifest], version: Version, key_version: str | None
) -> Iterator[Manifest]:
    """Yield the objects with another version of the main engine."""
    name = service.engine.name
    if version.chat_template:
        yield template_file(service, service.engine, version.chat_template)
    for each in manifests:
        match _reference(each):
            case (kind, its) if (kind, its) == (CONFIG_MAP, name):
                continue
            case (kind, its) if (kind, its) == (DEPLOYMENT, name):
                template = with_key(version.template, key_version)
                yield {**each, "spec": {**each["spec"], "template": template}}
            case _:
                yield each


def _marked(manifest: Manifest, version: Version) -> Manifest:
    if manifest["kind"] != DEPLOYMENT:
        return manifest
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": {VERSION: version.mark}}}


def _recorded(deployment: Manifest, record: Record, status: RolloutStatus) -> Manifest:
    metadata, spec = deployment["metadata"], deployment["spec"]
    annotations = {**(metadata.get("annotations") or {}), ANNOTATION: written(record)}
    paused = {"paused": True} if status.phase is Phase.PAUSED and not record.served else {}
    return {**deployment, "metadata": {**metadata, "annotations": annotations}, "spec": {**spec, **paused}}


def _reference(manifest: Mapping[str, Any]) -> Reference:
    return Reference(manifest["kind"], manifest["metadata"]["name"])
