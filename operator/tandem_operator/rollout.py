"""The roll-out of a service's objects, held back where something has to be done first: what runs goes on as it is.

Orchestrators wait for the Job that migrates their database, an engine for the one that fetches its model; where that is
another model than the one that runs, the orchestrators wait with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tandem_operator import manifests
from tandem_operator.api.component import FETCHED, Reference
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.outcomes import Outcome
from tandem_operator.api.rollout import RolloutStatus
from tandem_operator.api.settings import Named
from tandem_operator.kube.api import Api
from tandem_operator.kube.children import Children
from tandem_operator.kube.difference import differences, stamped
from tandem_operator.kube.resources import JOB, SECRET, Object
from tandem_operator.kube.store import reference
from tandem_operator.manifests import Platform
from tandem_operator.manifests.attempts import annotated, annotations, next_attempt
from tandem_operator.manifests.component import CONFIG_MAP, DEPLOYMENT
from tandem_operator.manifests.engine import deployment, model_cache
from tandem_operator.manifests.orchestrator import migration
from tandem_operator.rollouts.decision import decide, first_record
from tandem_operator.rollouts.objects import configured, rolled
from tandem_operator.rollouts.record import Record, read
from tandem_operator.rollouts.record import name as record_name
from tandem_operator.rollouts.sight import see
from tandem_operator.rollouts.telling import told
from tandem_operator.rollouts.version import Version, wanted, without_key
from tandem_operator.status import Observed


@dataclass(frozen=True)
class Step:
    """A Job that has to succeed first."""

    job: Object
    secrets: Named
    """What it uses: without them its pod would only wait."""


@dataclass(frozen=True)
class Steps:
    """What has to be done before the rest."""

    migration: Step | None = None
    fetches: Mapping[str, Step] = field(default_factory=dict)
    """By the tiers of the engines that wait."""
    waiting: frozenset[Reference] = frozenset()
    """The objects that are left as they are meanwhile."""

    @property
    def by_name(self) -> dict[str, Step]:
        """The steps by their Jobs' names."""
        found = [*([self.migration] if self.migration else []), *self.fetches.values()]
        return {step.job["metadata"]["name"]: step for step in found}

    def at_rest(self, deployment: Object) -> Object:
        """Return the Deployment of a suspended service, which has no pods and does not say that these are done."""
        undone = {FETCHED, migration.MIGRATED_BY} if self.migration else {FETCHED}
        kept = {name: text for name, text in annotations(deployment).items() if name not in undone}
        return annotated(deployment, kept)


def steps(
    service: LLMService, platform: Platform, live: Mapping[Reference, Object], named: Iterable[str] = ()
) -> Steps:
    """Return what has to be done first; `live` are the service's children, `named` the sources that services name."""
    first = migration.awaited(service, platform, live)
    jobs = model_cache.jobs(service, platform, named)
    cached = [each for each in service.engines if each.tier in jobs]
    awaited = {each.tier: jobs[each.tier] for each in cached if model_cache.awaited(each, jobs[each.tier], live)}
    engines = {each.tier: Reference(DEPLOYMENT, each.name) for each in cached}
    orchestrators = {Reference(DEPLOYMENT, each.name) for each in service.orchestrators}
    waiting = {engines[tier] for tier in awaited} | (orchestrators if first else set())
    if any(engines[tier] in live for tier in awaited):
        waiting |= orchestrators | {Reference(CONFIG_MAP, service.orchestrator.name)}
    credentials = {each.tier: each.model.credentials for each in cached}
    fetches = {
        tier: Step(job, {found.secret_name: frozenset()} if (found := credentials[tier]) else {})
        for tier, job in awaited.items()
    }
    return Steps(Step(first, service.state_secrets) if first else None, fetches, frozenset(waiting))


@dataclass(frozen=True)
class Course:
    """What becomes of the main engine."""

    record: Record
    status: RolloutStatus


def course(
    service: LLMService, platform: Platform, observed: Observed, outcomes: Sequence[Outcome], first: Steps
) -> Course | None:
    """Return what becomes of a service's main engine; None where somebody else runs it.

    While something has to be done first, all stays as it is.
    """
    if service.engine.spec.external:
        return None
    rendered = next(iter(deployment.build(model_cache.with_cached(service), platform, None)))
    asked = wanted(service, rendered)
    record = _known(observed, rendered, asked)
    sight = see(service, observed, record, asked, outcomes)
    if record is None:
        record = first_record(sight)
    elif reference(rendered) not in first.waiting:
        record = decide(record, sight)
    return Course(record, told(record, sight))


def _known(observed: Observed, rendered: Object, asked: Version) -> Record | None:
    """Return what is known of a roll-out; a Deployment of an older release, of which nothing is, goes on as it is."""
    kept = observed.children.get(Reference(CONFIG_MAP, record_name(rendered["metadata"]["name"])))
    live = observed.children.get(reference(rendered))
    if (record := read(kept) if kept else None) or live is None:
        return record
    template = live["spec"]["template"]
    if any(each.path[:2] == ("spec", "template") for each in differences({**live}, stamped(rendered))):
        metadata = {name: value for name, value in template["metadata"].items() if value is not None}
        asked = asked.model_copy(update={"template": without_key({**template, "metadata": metadata})})
    return Record(current=asked, since=observed.now, served=True)


def objects(service: LLMService, platform: Platform, key_version: str | None, found: Course | None) -> list[Object]:
    """Return the service's objects as its roll-out has them now."""
    if found is None:
        return manifests.build(service, platform, key_version)
    built = manifests.build(configured(service, found.record), platform, key_version)
    return rolled(service, built, found.record, found.status, key_version)


class Rollout:
    """The children of one service, applied in their time."""

    def __init__(self, api: Api, children: Children, service: LLMService, first: Steps) -> None:
        self._api = api
        self._children = children
        self._service = service
        self._first = first

    async def apply(self, manifest: Object, floor: int | None = None) -> None:
        """Bring a child to what is wanted, if its time has come.

        ApiError, NameTakenError: as in `Children.apply`.
        """
        if manifest["kind"] == JOB.kind:
            if step := self._first.by_name.get(manifest["metadata"]["name"]):
                await self._take(step)
        elif reference(manifest) not in self._first.waiting:
            await self._children.apply(manifest, floor)
        elif self._service.spec.suspend and manifest["kind"] == DEPLOYMENT:
            await self._children.apply(self._first.at_rest(manifest), floor)

    async def _take(self, step: Step) -> None:
        """Make the Job or, once it failed and has rested, another; without its Secrets it would only wait."""
        if self._service.spec.suspend:
            return
        live = await self._children.find(step.job)
        version = await self._version(step.secrets)
        if version is not None and (attempt := next_attempt(step.job, live, version, datetime.now(UTC))):
            await self._children.make(attempt, live)

    async def _version(self, secrets: Named) -> str | None:
        """Return the versions of Secrets; None where one is missing, or a key in it."""
        versions = []
        for name, keys in secrets.items():
            found = await self._api.get(SECRET, self._service.namespace, name)
            if found is None or not keys <= (found.get("data") or {}).keys():
                return None
            versions.append(str(found["metadata"]["resourceVersion"]))
        return " ".join(versions)
