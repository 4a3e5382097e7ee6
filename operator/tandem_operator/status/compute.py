"""The status as a whole: conditions in kstatus' terms, and the figures beside them."""

from collections.abc import Mapping
from datetime import datetime

from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.naming import SERVICE_MONITOR_API, Tier, selector, url
from tandem_operator.api.settings import secrets
from tandem_operator.api.status import Condition, ConditionStatus, ConditionType, LLMServiceStatus
from tandem_operator.status.degraded import unusable_parts
from tandem_operator.status.finding import Finding
from tandem_operator.status.model import model_finding
from tandem_operator.status.observed import FIELDS_CONTESTED, Object, Observed
from tandem_operator.status.stored import former_conditions, former_figures
from tandem_operator.status.tier import TierState, examine

Verdict = tuple[ConditionType, ConditionStatus, str, str]


def waits_for_secrets(service: LLMService, observed: Observed) -> bool:
    """Tell whether it may be a Secret that keeps the orchestrator from serving; only then they are worth a look."""
    named = secrets(service.spec.orchestrator.config)
    return bool(named) and examine(service, observed, Tier.ORCHESTRATOR).finding is not None


def compute(service: LLMService, observed: Observed) -> LLMServiceStatus:
    """Return the status of a service as observed."""
    engine = examine(service, observed, Tier.ENGINE)
    orchestrator = examine(service, observed, Tier.ORCHESTRATOR)
    model = model_finding(service, engine)
    verdicts = [
        *_summary(service, engine, orchestrator, model),
        _part(ConditionType.MODEL_READY, model, "Loaded", f"{service.spec.model.served_name} is loaded"),
        _part(ConditionType.ENGINE_READY, engine.finding, "Serving", _serving(engine)),
        _part(ConditionType.ORCHESTRATOR_READY, orchestrator.finding, "Serving", _serving(orchestrator)),
        _monitoring(service, observed),
        *_degraded(service, observed),
    ]
    labels, before = selector(service, Tier.ENGINE), former_conditions(service.status)
    return LLMServiceStatus(
        observed_generation=service.metadata.generation,
        url=url(service),
        model=service.spec.model.served_name,
        gpus=0 if service.spec.suspend else service.spec.engine.gpu_count * service.spec.engine.replicas,
        engine=engine.counts,
        orchestrator=orchestrator.counts,
        selector=",".join(f"{name}={value}" for name, value in labels.items()),
        conditions=[
            *_conditions(verdicts, before, service.metadata.generation, observed.now),
            *_unheard(verdicts, before),
        ],
    )


def invalid(live: Object, problems: list[str], now: datetime) -> LLMServiceStatus:
    """Return the status of a resource whose spec cannot be read; what runs is left as it is."""
    message = f"the spec is invalid, nothing was changed: {'; '.join(problems)}"
    return _left_alone(live, "InvalidSpec", message, "waits for a valid spec", now)


def not_allowed(live: Object, excess: list[str], now: datetime) -> LLMServiceStatus:
    """Return the status of a resource that asks for more than the platform allows; what runs is left as it is."""
    message = f"the spec asks for what is not allowed, nothing was changed: {'; '.join(excess)}"
    return _left_alone(live, "NotAllowed", message, "waits for a spec that is allowed", now)


def _left_alone(live: Object, reason: str, message: str, waits: str, now: datetime) -> LLMServiceStatus:
    generation = live["metadata"]["generation"]
    verdicts = _stalled(reason, message, waits)
    conditions = _conditions(verdicts, former_conditions(live.get("status")), generation, now)
    figures = {"observed_generation": generation, "conditions": conditions}
    return former_figures(live.get("status")).model_copy(update=figures)


def failed(live: Object, reason: str, message: str, now: datetime) -> LLMServiceStatus:
    """Return the status of a resource that cannot be looked at: nobody knows how it is, the rest is as it was last.

    A message of the same reason stays, so that one which differs at each attempt is not written at each.
    """
    generation, before = live["metadata"]["generation"], former_conditions(live.get("status"))
    known = before.get(ConditionType.READY)
    if known and (known.status, known.reason) == (ConditionStatus.UNKNOWN, reason):
        message = known.message
    verdicts = [
        (ConditionType.READY, ConditionStatus.UNKNOWN, reason, message),
        (ConditionType.RECONCILING, ConditionStatus.TRUE, reason, "tries again every two minutes or sooner"),
        (ConditionType.STALLED, ConditionStatus.FALSE, reason, "goes on"),
    ]
    stale = [condition for kind, condition in before.items() if all(kind != verdict[0] for verdict in verdicts)]
    conditions = [*_conditions(verdicts, before, generation, now), *stale]
    return former_figures(live.get("status")).model_copy(update={"conditions": conditions})


def refused(live: Object, status: LLMServiceStatus, cause: str, now: datetime) -> LLMServiceStatus:
    """Return the least there is to say, for an API server that refuses this status."""
    ready = next(condition for condition in status.conditions if condition.type == ConditionType.READY)
    message = f"the API server refused a status by which Ready is {ready.status} ({ready.reason}): {cause}"
    verdicts = _stalled("StatusRefused", message, "waits for an API server that takes it")
    conditions = _conditions(verdicts, former_conditions(live.get("status")), ready.observed_generation, now)
    return LLMServiceStatus(observed_generation=status.observed_generation, conditions=conditions)


def _stalled(reason: str, message: str, waits: str) -> list[Verdict]:
    return [
        (ConditionType.READY, ConditionStatus.FALSE, reason, message),
        (ConditionType.RECONCILING, ConditionStatus.FALSE, reason, waits),
        (ConditionType.STALLED, ConditionStatus.TRUE, reason, message),
    ]


def _summary(
    service: LLMService, engine: TierState, orchestrator: TierState, model: Finding | None
) -> tuple[Verdict, Verdict, Verdict]:
    findings = [finding for finding in (engine.finding, orchestrator.finding, model) if finding]
    worst = min(findings, key=lambda finding: (not finding.terminal, finding.reason == "Suspended"), default=None)
    true, false = ConditionStatus.TRUE, ConditionStatus.FALSE
    ready, reconciling, stalled = ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED
    if worst is None:
        return (
            (ready, true, "Serving", f"serves {service.spec.model.served_name} at {url(service)}"),
            (reconciling, false, "Done", "everything is as the spec says"),
            (stalled, false, "Done", "nothing is in the way"),
        )
    at_rest = worst.reason == "Suspended"
    return (
        (ready, false, worst.reason, worst.message),
        (reconciling, false if at_rest or worst.terminal else true, worst.reason, worst.message),
        (stalled, true if worst.terminal else false, worst.reason, worst.message if worst.terminal else "goes on"),
    )


def _part(kind: ConditionType, finding: Finding | None, good: str, message: str) -> Verdict:
    if finding is None:
        return kind, ConditionStatus.TRUE, good, message
    return kind, ConditionStatus.FALSE, finding.reason, finding.message


def _serving(tier: TierState) -> str:
    return f"{tier.counts.ready_replicas} of {tier.counts.replicas} pods are ready"


def _monitoring(service: LLMService, observed: Observed) -> Verdict:
    kind, true, false = ConditionType.MONITORING_READY, ConditionStatus.TRUE, ConditionStatus.FALSE
    if not service.spec.monitoring.enabled:
        return kind, false, "Disabled", "spec.monitoring.enabled is false"
    if SERVICE_MONITOR_API not in observed.capabilities:
        message = (
            f"the cluster has no {SERVICE_MONITOR_API}: install the Prometheus operator (noticed within a minute) "
            "or set spec.monitoring.enabled to false; the service works without"
        )
        return kind, false, "ServiceMonitorApiMissing", message
    for problem in observed.problems:
        if problem.kind == "ServiceMonitor":
            return kind, false, problem.reason, problem.message
    return kind, true, "Created", "Prometheus finds both tiers by their ServiceMonitors"


def _degraded(service: LLMService, observed: Observed) -> list[Verdict]:
    """No verdict while no orchestrator was heard."""
    kind, true, false = ConditionType.DEGRADED, ConditionStatus.TRUE, ConditionStatus.FALSE
    unusable = unusable_parts(observed.said or ())
    contested = [problem.message for problem in observed.problems if problem.degrades]
    if contested:
        return [(kind, true, FIELDS_CONTESTED, "; ".join([*contested, *([unusable.message] if unusable else ())]))]
    if service.spec.suspend:
        return [(kind, false, "Suspended", "nothing runs; set spec.suspend to false to go on")]
    if observed.said is None:
        return []
    if unusable is None:
        return [(kind, false, "PartsUsable", "every part can be used")]
    return [(kind, true, unusable.reason, unusable.message)]


def _unheard(verdicts: list[Verdict], before: Mapping[ConditionType, Condition]) -> list[Condition]:
    """Return Degraded as it was, if there is no new word of it and the last was the orchestrators'."""
    known = before.get(ConditionType.DEGRADED)
    if known is None or known.reason == FIELDS_CONTESTED or any(kind == known.type for kind, *_ in verdicts):
        return []
    return [known]


def _conditions(
    verdicts: list[Verdict], before: Mapping[ConditionType, Condition], generation: int, now: datetime
) -> list[Condition]:
    return [
        Condition(
            type=kind,
            status=status,
            reason=reason,
            message=message,
            observed_generation=generation,
            last_transition_time=_since(before.get(kind), status, now),
        )
        for kind, status, reason, message in verdicts
    ]


def _since(before: Condition | None, status: ConditionStatus, now: datetime) -> str:
    if before and before.status == status:
        return before.last_transition_time
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")
