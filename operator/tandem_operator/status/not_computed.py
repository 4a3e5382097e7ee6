"""The status where it cannot be computed: the spec is not to be carried out, or looking or writing fails."""

from collections.abc import Mapping
from datetime import datetime

from tandem_operator.api.status import ConditionStatus, ConditionType, LLMServiceStatus
from tandem_operator.sizing.decision import Decision
from tandem_operator.status.observed import Object
from tandem_operator.status.sized import awaited, sized
from tandem_operator.status.stored import Verdict, conditions, former_conditions, former_figures


def invalid(live: Object, problems: list[str], now: datetime) -> LLMServiceStatus:
    """Return the status of a resource whose spec cannot be read; what runs is left as it is."""
    message = f"the spec is invalid, nothing was changed: {'; '.join(problems)}"
    return _left_alone(live, _stalled("InvalidSpec", message, "waits for a valid spec"), now)


def not_allowed(live: Object, excess: list[str], now: datetime) -> LLMServiceStatus:
    """Return the status of a resource that asks for more than the platform allows; what runs is left as it is."""
    message = f"the spec asks for what is not allowed, nothing was changed: {'; '.join(excess)}"
    return _left_alone(live, _stalled("NotAllowed", message, "waits for a spec that is allowed"), now)


def not_sized(live: Object, decisions: Mapping[str, Decision], now: datetime) -> LLMServiceStatus:
    """Return the status of a resource one of whose engines is not sized, or would not fit; what runs is left."""
    held, told = awaited(decisions), sized(decisions, {})
    if held is None or told is None:
        raise AssertionError("every engine has its size")
    if held.terminal:
        message = f"nothing was changed: {held.message}"
        verdicts = _stalled(held.reason, message, "waits for a spec that fits")
    else:
        verdicts = [
            Verdict(ConditionType.READY, ConditionStatus.FALSE, held.reason, held.message),
            Verdict(ConditionType.RECONCILING, ConditionStatus.TRUE, held.reason, held.message),
            Verdict(ConditionType.STALLED, ConditionStatus.FALSE, held.reason, "goes on"),
        ]
    return _left_alone(live, [*verdicts, told], now)


def failed(live: Object, reason: str, message: str, now: datetime) -> LLMServiceStatus:
    """Return the status of a resource that cannot be looked at: nobody knows how it is, the rest is as it was last.

    A message of the same reason stays, so that one which differs at each attempt is not written at each.
    """
    former = former_conditions(live.get("status"))
    known = former.get(ConditionType.READY)
    if known and (known.status, known.reason) == (ConditionStatus.UNKNOWN, reason):
        message = known.message
    verdicts = [
        Verdict(ConditionType.READY, ConditionStatus.UNKNOWN, reason, message),
        Verdict(ConditionType.RECONCILING, ConditionStatus.TRUE, reason, "tries again every two minutes or sooner"),
        Verdict(ConditionType.STALLED, ConditionStatus.FALSE, reason, "goes on"),
    ]
    stale = [condition for kind, condition in former.items() if all(kind != verdict.type for verdict in verdicts)]
    told = [*conditions(verdicts, former, live["metadata"]["generation"], now), *stale]
    return former_figures(live.get("status")).model_copy(update={"conditions": told})


def refused(live: Object, status: LLMServiceStatus, cause: str, now: datetime) -> LLMServiceStatus:
    """Return the least there is to say, for an API server that refuses this status."""
    ready = next(condition for condition in status.conditions if condition.type == ConditionType.READY)
    message = f"the API server refused a status by which Ready is {ready.status} ({ready.reason}): {cause}"
    verdicts = _stalled("StatusRefused", message, "waits for an API server that takes it")
    told = conditions(verdicts, former_conditions(live.get("status")), ready.observed_generation, now)
    return LLMServiceStatus(observed_generation=status.observed_generation, conditions=told)


def _left_alone(live: Object, verdicts: list[Verdict], now: datetime) -> LLMServiceStatus:
    generation = live["metadata"]["generation"]
    told = conditions(verdicts, former_conditions(live.get("status")), generation, now)
    figures = {"observed_generation": generation, "conditions": told}
    return former_figures(live.get("status")).model_copy(update=figures)


def _stalled(reason: str, message: str, waits: str) -> list[Verdict]:
    return [
        Verdict(ConditionType.READY, ConditionStatus.FALSE, reason, message),
        Verdict(ConditionType.RECONCILING, ConditionStatus.FALSE, reason, waits),
        Verdict(ConditionType.STALLED, ConditionStatus.TRUE, reason, message),
    ]
