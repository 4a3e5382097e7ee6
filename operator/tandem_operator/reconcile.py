"""The whole story: validate, build, apply, prune, observe, report."""

import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from pydantic import ValidationError

from tandem_operator import manifests, status
from tandem_operator.api.allowance import Allowance, excess, named_secrets
from tandem_operator.api.component import CANDIDATE, Reference
from tandem_operator.api.fetch_progress import FetchProgress
from tandem_operator.api.hang import Hang
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.rollout import RolloutStatus
from tandem_operator.api.said import Said
from tandem_operator.api.settings import Named
from tandem_operator.api.status import LLMServiceStatus
from tandem_operator.api.text import listed
from tandem_operator.documents import problems
from tandem_operator.kube import metrics
from tandem_operator.kube.accelerators import Accelerators
from tandem_operator.kube.api import Api, ApiError
from tandem_operator.kube.children import Children, NameTakenError
from tandem_operator.kube.contests import Contest, Contests
from tandem_operator.kube.report import report
from tandem_operator.kube.resources import CONFIG_MAP, LLM_SERVICE, SECRET, SERVICE_MONITOR, Object, Resource
from tandem_operator.kube.store import Key, Store, reference
from tandem_operator.manifests import Images, Platform
from tandem_operator.manifests.component import DEPLOYMENT
from tandem_operator.manifests.engine import inspection, private
from tandem_operator.rollout import Course, Rollout, Steps, course, objects, steps
from tandem_operator.sizes import Sizes
from tandem_operator.sizing.decision import Decision
from tandem_operator.sizing.record import Record, last, recorded
from tandem_operator.status import FIELDS_CONTESTED, NAME_TAKEN, Observed, Problem
from tandem_operator.workqueue import RetryError

logger = logging.getLogger(__name__)

_LONGEST_CAUSE: Final = 4096


@dataclass
class Cluster:
    """The cluster as the operator holds it: its API, what the watches showed, and what it can do."""

    api: Api
    images: Images
    allowance: Allowance = field(default_factory=Allowance)
    store: Store = field(default_factory=Store)
    capabilities: frozenset[str] = frozenset()
    sees_nodes: bool = True
    """Whether nodes may be read, which no right in a namespace allows."""
    accelerators: Accelerators = field(init=False)
    said: Mapping[Key, Said] = field(default_factory=dict)
    """What each service's orchestrators say of themselves; a service that was not heard is not in it."""
    fetches: Mapping[str, FetchProgress] = field(default_factory=dict)
    """How far pods that fetch models are, by their uids."""
    hangs: dict[Key, tuple[Hang, ...]] = field(default_factory=dict)
    """Pods of each service's engines that hang."""
    contests: Contests = field(default_factory=Contests)
    tool_callers: dict[Key, Sequence[str]] = field(default_factory=dict)
    """By service the names of its engines that are to call tools, for orchestrators to find out whether they do."""

    def __post_init__(self) -> None:
        """Know where the nodes' accelerators are looked up."""
        self.accelerators = Accelerators(self.api if self.sees_nodes else None)


class ReportedError(RetryError):
    """Trouble that the status tells about already."""


async def reconcile(cluster: Cluster, key: Key) -> None:
    """Bring one service's children and status to what its spec says; writes nothing that is so already.

    RetryError: something could not be read or written that may be later; a ReportedError is in the status already.
    """
    live = cluster.store.service(key)
    if live is None or "deletionTimestamp" in live["metadata"]:
        cluster.contests.keep(key, ())
        cluster.tool_callers.pop(key, None)
        return  # its children carry an ownerReference: Kubernetes deletes them, operator or not
    now = datetime.now(UTC)
    try:
        service = LLMService.model_validate(live)
    except ValidationError as error:
        await _report(cluster, live, status.invalid(live, problems(error), now))
        return
    if beyond := excess(service, cluster.allowance, await _selected(cluster, service)):
        await _report(cluster, live, status.not_allowed(live, beyond, now))
        return
    platform = Platform(cluster.capabilities, cluster.images)
    if unknown := [*manifests.unknown_arguments(service, platform)]:
        await _report(cluster, live, status.invalid(live, unknown, now))
        return
    children = Children(cluster.api, cluster.store, cluster.contests, key, service.metadata.uid)
    decisions = await _decide(cluster, children, service, platform)
    if status.awaited(decisions):
        await _report(cluster, live, status.not_sized(live, decisions, now))
        return
    service = service.with_engines({tier: each.spec for tier, each in decisions.items() if each.spec})
    records = {each.name: decisions[each.tier].record for each in service.engines if each.tier in decisions}
    said = cluster.said.get(key)
    rolling = _course(cluster, key, service, platform, now)
    wanted = Wanted(service, platform, records, rolling)
    failed = [problem async for problem in _bring_about(cluster, children, wanted)]
    await _forget_previous_key(cluster, children, service)
    tried = [CANDIDATE] if rolling and rolling.record.trial and service.spec.engine.tool_calling.enabled else []
    cluster.tool_callers[key] = [*(engine.tier for engine in service.tool_callers), *tried]
    first = Steps() if service.spec.suspend else steps(service, platform, cluster.store.children(key))
    observed = Observed(
        now,
        cluster.store.children(key),
        cluster.store.pods(key),
        [*failed, *_contested(cluster.contests.of(key))],
        cluster.capabilities,
        degraded=said.degraded if said else None,
        limitations=said.limitations if said else (),
        tool_calling=said.tool_calling if said else (),
        migration=reference(first.migration.job) if first.migration else None,
        fetches={tier: reference(step.job) for tier, step in first.fetches.items()},
        progress=cluster.fetches,
        decisions=decisions,
        kv_tokens=dict(said.kv_tokens) if said else {},
        rollout=_told(service, rolling, failed),
        hangs=cluster.hangs.get(key, ()),
    )
    if opened := {name: keys for step in first.fetches.values() for name, keys in step.secrets.items()}:
        there = await _keys(cluster.api, SECRET, service, opened)
        observed = replace(observed, credentials=frozenset(there) if there is not None else None)
    if status.waits_for_mounts(service, observed):
        secrets = await _keys(cluster.api, SECRET, service, service.secrets)
        config_maps = await _keys(cluster.api, CONFIG_MAP, service, service.config_maps)
        observed = replace(observed, secrets=secrets, config_maps=config_maps)
    if claim := status.waiting_claim(service, observed):
        observed = replace(observed, claim_event=await _newest_event(cluster.api, claim))
    await _report(cluster, live, status.compute(service, observed))
    if failed:
        raise ReportedError("; ".join(f"{problem.kind} {problem.name}: {problem.message}" for problem in failed))


async def report_failure(cluster: Cluster, key: Key, error: Exception) -> None:
    """Say in the status that it is unknown how a service is, as looking at it fails; raises nothing, but logs it."""
    if isinstance(error, ReportedError):
        return
    reason = "ReconcileFailed" if isinstance(error, RetryError) else "InternalError"
    try:
        live = cluster.store.service(key) or await cluster.api.get(LLM_SERVICE, *key)
        if live and "deletionTimestamp" not in live["metadata"]:
            cause = status.quoted(f"{type(error).__name__}: {error}", _LONGEST_CAUSE)
            message = f"the operator fails to look at it: {cause}"
            await _report(cluster, live, status.failed(live, reason, message, datetime.now(UTC)))
    except Exception:
        metrics.UNREPORTED.inc()
        logger.exception("%s/%s: its failure could not be written into its status", *key)


async def _selected(cluster: Cluster, service: LLMService) -> frozenset[str] | None:
    """Look up which Secrets carry the label that the platform asks for; None where it asks for none."""
    selector = cluster.allowance.secrets.selector
    if not selector or not named_secrets(service):
        return None
    found = cluster.api.list_metadata(SECRET, service.namespace, selector)
    return frozenset([item["metadata"]["name"] async for item in found])


async def _decide(cluster: Cluster, children: Children, service: LLMService, platform: Platform) -> dict[str, Decision]:
    """Decide how many accelerators the service's engines get."""
    try:
        return await Sizes(cluster.api, cluster.store, cluster.accelerators, children, platform).decide(service)
    except (ApiError, NameTakenError) as error:
        raise RetryError(f"its engines cannot be sized: {error}") from error


def _course(cluster: Cluster, key: Key, service: LLMService, platform: Platform, now: datetime) -> Course | None:
    """Decide what becomes of the main engine."""
    said, live = cluster.said.get(key, Said()), cluster.store.children(key)
    first = steps(service, platform, live, cluster.store.sources(service.namespace))
    observed = Observed(
        now,
        live,
        cluster.store.pods(key),
        degraded=said.degraded if key in cluster.said else None,
        tool_calling=said.tool_calling,
    )
    return course(service, platform, observed, said.outcomes, first)


def _told(service: LLMService, rolling: Course | None, problems: Iterable[Problem]) -> RolloutStatus | None:
    """Return how the roll-out is, with what of the candidate could not be written."""
    if rolling is None:
        return None
    beside = f"{service.name}-{CANDIDATE}"
    refused = [problem.message for problem in problems if problem.name.startswith(beside)]
    return rolling.status.model_copy(update={"message": "; ".join([rolling.status.message, *refused])})


@dataclass(frozen=True)
class Wanted:
    """A service with all that was decided about it."""

    service: LLMService
    platform: Platform
    records: Mapping[str, Record | None]
    """Of the sizes of its engines, by the names of their Deployments."""
    rolling: Course | None

    def objects(self, key_version: str | None) -> list[Object]:
        """Return its objects, in the order in which they are applied."""
        built = objects(self.service, self.platform, key_version, self.rolling)
        return [recorded(each, self.records) for each in built]


async def _bring_about(cluster: Cluster, children: Children, decided: Wanted) -> AsyncIterator[Problem]:
    """Apply what is wanted and prune what is not; yield what was refused.

    Nothing is written while somebody else has a child's name: the rest would use it, act in the name of its
    ServiceAccount and read its configuration. Only a ServiceMonitor is used by nothing.
    """
    service, platform = decided.service, decided.platform
    keyed = private.secret(service)
    key_version = private.key_version(children.known(keyed)) if keyed else None
    wanted = decided.objects(key_version)
    taken = [problem async for problem in _taken(children, wanted)]
    for problem in taken:
        yield problem
    if any(problem.kind != SERVICE_MONITOR.kind for problem in taken):
        return
    if keyed:
        try:
            applied = private.key_version(await children.apply_with_key(keyed, service.key_rotation))
        except (ApiError, NameTakenError) as error:
            yield _problem(keyed, error)
            return  # pods without a key would run with the engine open
        if applied != key_version:
            wanted = decided.objects(applied)
    live = cluster.store.children(Key(service.namespace, service.name))
    first = steps(service, platform, live, cluster.store.sources(service.namespace))
    rollout, floors = Rollout(cluster.api, children, service, first), _floors(wanted)
    theirs = {Reference(problem.kind, problem.name) for problem in taken}
    for manifest in wanted:
        if reference(manifest) in theirs:
            continue
        try:
            await rollout.apply(manifest, floors.get(reference(manifest)))
        except NameTakenError as error:
            yield _problem(manifest, error)
            return
        except ApiError as error:
            yield _problem(manifest, error)
    live = cluster.store.children(Key(service.namespace, service.name))
    needed = [*wanted, *_unread(service, platform, live, decided.records)]
    await children.prune({reference(manifest) for manifest in needed})


def _unread(
    service: LLMService,
    platform: Platform,
    live: Mapping[Reference, Object],
    records: Mapping[str, Record | None],
) -> Iterator[Object]:
    """Yield the Jobs that looked at models and whose findings no Deployment keeps yet."""
    for each in service.engines:
        if (record := records.get(each.name)) and last(live.get(Reference(DEPLOYMENT, each.name))) != record:
            yield inspection.build(service, each, platform)


async def _forget_previous_key(cluster: Cluster, children: Children, service: LLMService) -> None:
    """Take the key away that came before the engines' own, once all of them have that."""
    if not (keyed := private.secret(service)):
        return
    live = cluster.store.children(Key(service.namespace, service.name))
    engines = [live.get(Reference("Deployment", each.name)) for each in service.engines]
    if private.is_everywhere(private.key_version(children.known(keyed)), engines):
        try:
            await children.forget_previous_key(keyed)
        except ApiError as error:
            raise RetryError(f"the engines' previous key stays: {error}") from error


async def _taken(children: Children, wanted: list[Object]) -> AsyncIterator[Problem]:
    for manifest in wanted:
        try:
            await children.find(manifest)
        except (ApiError, NameTakenError) as error:
            yield _problem(manifest, error)


async def _keys(api: Api, resource: Resource, service: LLMService, named: Iterable[str]) -> Named | None:
    """Look up the keys of the Secrets or ConfigMaps of these names that exist; None where they cannot be read."""
    found: dict[str, frozenset[str]] = {}
    for name in named:
        try:
            live = await api.get(resource, service.namespace, name)
        except ApiError as error:
            where = (service.namespace, service.name, resource.kind, name)
            logger.warning("%s/%s %s %s could not be read: %s", *where, error)
            return None
        if live:
            found[name] = frozenset({**(live.get("data") or {}), **(live.get("binaryData") or {})})
    return found


async def _newest_event(api: Api, about: Mapping[str, Any]) -> str | None:
    """Look up what Kubernetes said last about an object; None where it said nothing, or that cannot be read."""
    try:
        found = await api.events(dict(about))
    except ApiError as error:
        logger.warning("Events of %s could not be read: %s", about["metadata"]["name"], error)
        return None
    newest = max(found, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "", default=None)
    return f"{newest.get('reason')}: {newest.get('message')}" if newest else None


def _floors(wanted: list[Object]) -> dict[Reference, int]:
    """Return the fewest replicas of each Deployment that an autoscaler owns."""
    scalers = [manifest["spec"] for manifest in wanted if manifest["kind"] == "HorizontalPodAutoscaler"]
    return {
        Reference(spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"]): spec["minReplicas"]
        for spec in scalers
    }


def _problem(manifest: Object, error: ApiError | NameTakenError) -> Problem:
    """Tell the status what was refused; what is only late or in conflict is tried again without a word there."""
    kind, name = reference(manifest)
    if isinstance(error, NameTakenError):
        return Problem(kind, name, NAME_TAKEN, str(error), terminal=error.terminal)
    if error.passes:
        raise RetryError(f"{kind} {name}: {error}") from error
    cause = status.quoted(str(error), _LONGEST_CAUSE)
    return Problem(kind, name, "Refused", f"{kind} {name} was refused: {cause}", terminal=error.is_refusal)


def _contested(contests: list[Contest]) -> Iterator[Problem]:
    """Tell the status which fields others write back; an engine that they may have opened is not ready."""
    for (kind, name), fields in groupby(contests, attrgetter("child")):
        which = listed([status.quoted(f"{contest.path} ({contest.by})") for contest in fields])
        message = (
            f"{kind} {name} is changed again whenever it is put right: {which}; "
            "exempt it there, or set the field in the LLMService; it is put right again from time to time"
        )
        yield Problem(kind, name, FIELDS_CONTESTED, message, degrades=kind != "NetworkPolicy")


async def _report(cluster: Cluster, live: Object, after: LLMServiceStatus) -> None:
    refusal = await _write(cluster, live, after)
    if refusal:
        cause = status.quoted(str(refusal), _LONGEST_CAUSE)
        again = await _write(cluster, live, status.refused(live, after, cause, datetime.now(UTC)))
        raise RetryError(f"status: {again}") if again else ReportedError(f"status: {refusal}")


async def _write(cluster: Cluster, live: Object, after: LLMServiceStatus) -> ApiError | None:
    """Write a status that is new and tell what turned; return why it is refused, if it is because of what it says."""
    written = status.written(after)
    if live.get("status") == written:
        return None
    turns = status.changes(live, after)
    for turn in turns:
        logger.info("%s/%s %s", live["metadata"]["namespace"], live["metadata"]["name"], turn.message)
    try:
        await report(cluster.api, cluster.store, live, written, turns)
    except ApiError as error:
        if not error.is_refusal:
            raise RetryError(f"status: {error}") from error
        return error
    return None
