"""The status of a service that was looked at: conditions in kstatus' terms, and the figures beside them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tandem_contract import names

from tandem_operator.api.component import CANDIDATE, INGESTION_QUEUED_API, SERVICE_MONITOR_API, EngineComponent, Tier
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.status import (
    Condition,
    ConditionStatus,
    ConditionType,
    EngineStatus,
    LLMServiceStatus,
    MainEngineStatus,
)
from tandem_operator.status.finding import Finding, Policy, first_finding
from tandem_operator.status.masking import masked
from tandem_operator.status.observed import FIELDS_CONTESTED, NAME_TAKEN, Observed
from tandem_operator.status.rolled_out import is_as_the_spec_says, unfinished
from tandem_operator.status.rolled_out import verdict as verdict_of_rollout
from tandem_operator.status.sized import sized
from tandem_operator.status.stored import Verdict, conditions, former_conditions, former_engine
from tandem_operator.status.stores import HEARD, StoresView, stores_finding, usable
from tandem_operator.status.tier import REACHED, TierView, gather, model_finding
from tandem_operator.status.tool_calling import ToolCallingView
from tandem_operator.status.tool_calling import tool_calling_verified as verdict_of_tool_calling
from tandem_operator.status.update_safety import last_load, update_safety

_LONGEST_MESSAGE: Final = 4096
_EMBEDDING_AWAY: Final = "EmbeddingAway"
_ADDITIONAL_ENGINE_AWAY: Final = "AdditionalEngineAway"
_DOCUMENTS_UNREAD: Final = "DocumentsUnread"
_SEEN: Final = (FIELDS_CONTESTED, _EMBEDDING_AWAY, _ADDITIONAL_ENGINE_AWAY, _DOCUMENTS_UNREAD)
"""Reasons of Degraded that the operator sees itself, whether or not it hears of orchestrators."""


@dataclass(frozen=True)
class ServiceView:
    """A service with what its conditions tell about."""

    service: LLMService
    observed: Observed
    engine: TierView
    embedding: TierView | None
    """The engine for embeddings, where the service runs one."""
    orchestrator: TierView
    ingestion: TierView | None
    """The pods that read documents, where they are not those of the orchestrator."""
    model: Finding | None
    """Why the model is not loaded."""
    additional: tuple[TierView, ...] = ()
    """The additional engines."""

    @property
    def worst(self) -> Finding | None:
        """Why the service does not serve, first what stays so until a person does something; None when it serves."""
        # what is known of an external engine comes from orchestrators
        order = (self.orchestrator, self.engine) if self.engine.external else (self.engine, self.orchestrator)
        found = [*(tier.finding for tier in order), self.model, *self._taken]
        findings = [finding for finding in found if finding]
        return min(findings, key=lambda finding: (not finding.terminal, finding.reason == "Suspended"), default=None)

    @property
    def _taken(self) -> list[Finding]:
        """Names that keep all from being written, though the tier that they are of is not needed to serve."""
        beside = [tier.finding for tier in (self.embedding, *self.additional, self.ingestion) if tier]
        return [finding for finding in beside if finding and finding.reason == NAME_TAKEN]


def waits_for_mounts(service: LLMService, observed: Observed) -> bool:
    """Return whether it may be a Secret or a ConfigMap that keeps the orchestrator from serving.

    Only then they are worth a look.
    """
    return (
        bool(service.secrets or service.config_maps)
        and gather(service, observed, service.orchestrator).finding is not None
    )


def compute(service: LLMService, observed: Observed) -> LLMServiceStatus:
    """Return the status of a service as observed."""
    engine = gather(service, observed, service.engine)
    embedding = gather(service, observed, service.embedding) if service.embedding else None
    orchestrator = gather(service, observed, service.orchestrator)
    ingestion = gather(service, observed, service.ingestion) if service.ingestion else None
    additional = tuple(gather(service, observed, each) for each in service.additional)
    view = ServiceView(service, observed, engine, embedding, orchestrator, ingestion, model_finding(engine), additional)
    verdicts = [verdict for condition in CONDITIONS if (verdict := condition(view))]
    labels, former = dict(service.engine.selector), former_conditions(service.status)
    return LLMServiceStatus(
        observed_generation=service.metadata.generation,
        url=service.url,
        model=service.spec.model.served_name,
        gpus=_gpus(view),
        engine=MainEngineStatus(**engine.counts.model_dump(), last_load=last_load(engine)),
        embedding=embedding.counts if embedding else None,
        additional_engines=[*map(_engine_status, additional, service.additional)] or None,
        orchestrator=orchestrator.counts,
        rollout=observed.rollout,
        selector=",".join(f"{name}={value}" for name, value in labels.items()),
        conditions=[
            *conditions(verdicts, former, service.metadata.generation, observed.now),
            *_unheard(verdicts, former.get(ConditionType.DEGRADED)),
        ],
    )


def _gpus(view: ServiceView) -> int:
    """Return the accelerators of all engines, and of the candidate that is tried beside the main one."""
    service, rollout = view.service, view.observed.rollout
    if service.spec.suspend:
        return 0
    tried = [service.engine] if rollout and rollout.weight is not None else []
    return sum(each.spec.gpu_count * each.spec.replicas for each in (*service.engines, *tried))


def _engine_status(tier: TierView, engine: EngineComponent) -> EngineStatus:
    """Return what is told of an additional engine."""
    service, former = tier.service, former_engine(tier.service.status, tier.tier)
    verdicts = [_tier_ready(ConditionType.READY, tier), _model_ready(engine, model_finding(tier))]
    return EngineStatus(
        name=tier.tier,
        model=engine.model.served_name,
        endpoint=service.endpoint(engine),
        replicas=tier.counts.replicas,
        ready_replicas=tier.counts.ready_replicas,
        conditions=conditions(verdicts, former_conditions(former), service.metadata.generation, tier.observed.now),
    )


def _unheard(verdicts: list[Verdict], degraded: Condition | None) -> list[Condition]:
    """Return Degraded as it was, if there is no new word of it and the last was the orchestrators'."""
    if degraded is None or degraded.reason in _SEEN or any(v.type == degraded.type for v in verdicts):
        return []
    return [degraded]


def ready(view: ServiceView) -> Verdict:
    """Return whether the service serves."""
    served = view.service.spec.model.served_name
    return _good(ConditionType.READY, view.worst, "Serving", f"serves {served} at {view.service.url}")


def reconciling(view: ServiceView) -> Verdict:
    """Return whether the service is on its way to what its spec says."""
    kind, worst = ConditionType.RECONCILING, view.worst or unfinished(view.observed.rollout)
    if worst is None:
        return Verdict(kind, ConditionStatus.FALSE, "Done", "everything is as the spec says")
    goes_on = not worst.terminal and worst.reason != "Suspended"
    return Verdict(kind, _status(holds=goes_on), worst.reason, worst.message)


def stalled(view: ServiceView) -> Verdict:
    """Return whether a person has to do something."""
    kind, worst = ConditionType.STALLED, view.worst or unfinished(view.observed.rollout)
    if worst is None:
        return Verdict(kind, ConditionStatus.FALSE, "Done", "nothing is in the way")
    message = worst.message if worst.terminal else "goes on"
    return Verdict(kind, _status(holds=worst.terminal), worst.reason, message)


def engines_sized(view: ServiceView) -> Verdict | None:
    """Return whether the models fit what their engines get; nothing is told of a service without accelerators."""
    told = view.observed.kv_tokens
    if not is_as_the_spec_says(view.observed.rollout):
        told = {tier: tokens for tier, tokens in told.items() if tier != Tier.ENGINE}
    return sized(view.observed.decisions, told)


def model_ready(view: ServiceView) -> Verdict:
    """Return whether an engine has loaded the model."""
    return _model_ready(view.service.engine, view.model)


def engine_ready(view: ServiceView) -> Verdict:
    """Return whether the engine serves."""
    return _tier_ready(ConditionType.ENGINE_READY, view.engine)


def embedding_ready(view: ServiceView) -> Verdict | None:
    """Return whether the engine for embeddings serves; nothing is told of a service that runs none."""
    return _tier_ready(ConditionType.EMBEDDING_READY, view.embedding) if view.embedding else None


def additional_engines_ready(view: ServiceView) -> Verdict | None:
    """Return whether each additional engine serves; nothing is told of a service that has none."""
    if not view.additional:
        return None
    found = [(tier.tier, finding) for tier in view.additional if (finding := tier.finding)]
    if not found:
        message = f"{', '.join(tier.tier for tier in view.additional)}: all serve"
        return Verdict(ConditionType.ADDITIONAL_ENGINES_READY, ConditionStatus.TRUE, "Serving", message)
    _, worst = min(found, key=lambda each: not each[1].terminal)
    message = "; ".join(f"{name}: {finding.message}" for name, finding in found)
    return Verdict(ConditionType.ADDITIONAL_ENGINES_READY, ConditionStatus.FALSE, worst.reason, message)


def orchestrator_ready(view: ServiceView) -> Verdict:
    """Return whether the orchestrator serves."""
    return _tier_ready(ConditionType.ORCHESTRATOR_READY, view.orchestrator)


def stores_ready(view: ServiceView) -> Verdict | None:
    """Return whether database, files and Redis can be used; nothing is told of a service that has none of them."""
    kind, stores = ConditionType.STORES_READY, StoresView(view.service, view.observed)
    if not (stores.has_database or stores.has_redis):
        return None
    if finding := stores_finding(stores):
        return Verdict(kind, ConditionStatus.FALSE, finding.reason, finding.message)
    if view.service.spec.suspend:
        return Verdict(
            kind, ConditionStatus.FALSE, "Suspended", "nothing uses them; set spec.suspend to false to go on"
        )
    if view.observed.degraded is not None:
        return Verdict(kind, ConditionStatus.TRUE, "StoresUsable", usable(stores))
    former = former_conditions(view.service.status).get(kind)
    if former and former.reason in HEARD:  # what they said last counts until they are heard again
        return Verdict(kind, former.status, former.reason, former.message)
    return Verdict(kind, ConditionStatus.UNKNOWN, "NotHeard", "no orchestrator has said yet whether it can use them")


def rolled_out(view: ServiceView) -> Verdict | None:
    """Return whether the main engine is what the spec says; nothing is told of one that somebody else runs."""
    rollout = view.observed.rollout
    return verdict_of_rollout(rollout, suspended=view.service.spec.suspend) if rollout else None


def monitoring_ready(view: ServiceView) -> Verdict:
    """Return whether Prometheus can find all tiers."""
    message = "Prometheus finds all tiers by their ServiceMonitors"
    return _good(ConditionType.MONITORING_READY, first_finding(MONITORING, view), "Created", message)


def tool_calling_verified(view: ServiceView) -> Verdict | None:
    """Return whether tool calls come back right; nothing is told of a service whose engines are to make none."""
    named = {engine.tier for engine in view.service.tool_callers}
    engines = [tier for tier in (view.engine, *view.additional) if tier.tier in named]
    return verdict_of_tool_calling(ToolCallingView(view.service, view.observed, engines))


def update_safe(view: ServiceView) -> Verdict | None:
    """Return whether requests are held for as long as the engine loads; nothing is told of one that runs elsewhere."""
    return update_safety(view.engine, view.observed.decisions.get(view.engine.tier))


def degraded(view: ServiceView) -> Verdict | None:
    """Return whether something is amiss while the service serves; nothing is told while no orchestrator was heard."""
    kind = ConditionType.DEGRADED
    if finding := first_finding(DEGRADED, view):
        return Verdict(kind, ConditionStatus.TRUE, finding.reason, finding.message)
    if view.service.spec.suspend:
        message = "nothing runs; set spec.suspend to false to go on"
        return Verdict(kind, ConditionStatus.FALSE, "Suspended", message)
    if view.observed.degraded is None:
        return None
    return Verdict(kind, ConditionStatus.FALSE, "PartsUsable", "every part can be used")


CONDITIONS: Final[tuple[Callable[[ServiceView], Verdict | None], ...]] = (
    ready,
    reconciling,
    stalled,
    engines_sized,
    model_ready,
    engine_ready,
    embedding_ready,
    additional_engines_ready,
    orchestrator_ready,
    stores_ready,
    update_safe,
    rolled_out,
    monitoring_ready,
    tool_calling_verified,
    degraded,
)
"""What a status tells, in this order."""


def _model_ready(engine: EngineComponent, finding: Finding | None) -> Verdict:
    return _good(ConditionType.MODEL_READY, finding, "Loaded", f"{engine.model.served_name} is loaded")


def _tier_ready(kind: ConditionType, tier: TierView) -> Verdict:
    if tier.external:
        return _good(kind, tier.finding, REACHED, f"orchestrators reach {tier.url}")
    counts = tier.counts
    return _good(kind, tier.finding, "Serving", f"{counts.ready_replicas} of {counts.replicas} pods are ready")


def _good(kind: ConditionType, finding: Finding | None, reason: str, message: str) -> Verdict:
    """Return the verdict of a condition that holds, with this reason and message, unless there is a finding."""
    if finding:
        return Verdict(kind, ConditionStatus.FALSE, finding.reason, finding.message)
    return Verdict(kind, ConditionStatus.TRUE, reason, message)


def _status(*, holds: bool) -> ConditionStatus:
    return ConditionStatus.TRUE if holds else ConditionStatus.FALSE


def monitoring_disabled(view: ServiceView) -> Finding | None:
    """Find that nobody wants monitoring."""
    if view.service.spec.monitoring.enabled:
        return None
    return Finding("Disabled", "spec.monitoring.enabled is false")


def monitoring_not_served(view: ServiceView) -> Finding | None:
    """Find that the cluster knows no ServiceMonitors."""
    if SERVICE_MONITOR_API in view.observed.capabilities:
        return None
    message = (
        f"the cluster has no {SERVICE_MONITOR_API}: install the Prometheus operator (noticed within a minute) "
        "or set spec.monitoring.enabled to false; the service works without"
    )
    return Finding("ServiceMonitorApiMissing", message)


def monitor_not_written(view: ServiceView) -> Finding | None:
    """Find a ServiceMonitor that could not be brought to what is wanted."""
    problem = next((problem for problem in view.observed.problems if problem.kind == "ServiceMonitor"), None)
    return Finding(problem.reason, problem.message) if problem else None


def queue_not_told(view: ServiceView) -> Finding | None:
    """Find that pods for ingestion cannot be scaled by the files that wait."""
    workers = view.service.spec.orchestrator.workers
    if not (workers and workers.is_wide) or INGESTION_QUEUED_API in view.observed.capabilities:
        return None
    message = (
        f"the cluster has no {INGESTION_QUEUED_API}: have a metrics adapter serve it (noticed within a minute); until "
        "then pods that read documents are scaled by CPU alone"
    )
    return Finding("QueueMetricMissing", message)


MONITORING: Final[tuple[Policy[ServiceView], ...]] = (
    monitoring_disabled,
    monitoring_not_served,
    monitor_not_written,
    queue_not_told,
)
"""Why Prometheus does not find the service."""


def fields_contested(view: ServiceView) -> Finding | None:
    """Find what somebody changes again and again, and tell of parts that cannot be used as well."""
    contested = [problem.message for problem in view.observed.problems if problem.degrades]
    if not contested:
        return None
    unusable = _unusable(view)
    return Finding(FIELDS_CONTESTED, "; ".join([*contested, unusable.message] if unusable else contested))


_ADAPTER: Final = names.ADAPTER_PROBLEM.partition("{")[0]


def parts_unusable(view: ServiceView) -> Finding | None:
    """Find parts that cannot be used while the service serves: its orchestrators say which."""
    return None if view.service.spec.suspend else _unusable(view)


def _unusable(view: ServiceView) -> Finding | None:
    """Return what the orchestrators cannot use; the service's own engines have conditions of their own."""
    engines = (*(each.tier for each in view.service.all_engines), CANDIDATE)
    own = tuple(names.UPSTREAM_PROBLEM.format(name=each, problem="") for each in engines)
    lines = {line for line in view.observed.degraded or () if not line.startswith(own)}
    if not lines:
        return None
    message = "; ".join(sorted({masked(" ".join(line.split())) for line in lines}))
    if len(message) > _LONGEST_MESSAGE:
        message = f"{message[:_LONGEST_MESSAGE]} … (/health of the service tells all of them)"
    adapters = all(line.startswith(_ADAPTER) for line in lines)
    return Finding("AdapterNotLoaded" if adapters else "PartsUnusable", message)


def documents_unread(view: ServiceView) -> Finding | None:
    """Find that no pod is there that reads documents."""
    tier = view.ingestion
    if tier is None or view.service.spec.suspend or tier.counts.ready_replicas or not tier.finding:
        return None
    return Finding(_DOCUMENTS_UNREAD, f"files wait, as no pod of {tier.name} reads them: {tier.finding.message}")


def embedding_away(view: ServiceView) -> Finding | None:
    """Find that nothing makes vectors while the service serves: chat goes on."""
    tier = view.embedding
    if tier is None or view.worst or tier.counts.ready_replicas or not tier.finding:
        return None
    message = f"chat goes on, but no pod of {tier.name} makes vectors of texts: {tier.finding.message}"
    return Finding(_EMBEDDING_AWAY, message)


def additional_engine_away(view: ServiceView) -> Finding | None:
    """Find additional engines of which nothing serves while the service does."""
    away = [tier for tier in view.additional if tier.finding and not tier.counts.ready_replicas]
    if view.worst or not away:
        return None
    which = "; ".join(f"{tier.tier}: {tier.finding.message}" for tier in away if tier.finding)
    message = f"{view.service.spec.model.served_name} is served, but these additional engines serve nobody: {which}"
    return Finding(_ADDITIONAL_ENGINE_AWAY, message)


DEGRADED: Final[tuple[Policy[ServiceView], ...]] = (
    fields_contested,
    embedding_away,
    additional_engine_away,
    documents_unread,
    parts_unusable,
)
"""What is amiss while the service serves."""
