"""What is worth an Event: conditions whose status or reason turned."""

from typing import Final

from tandem_operator.api.status import Change, Condition, ConditionStatus, ConditionType, LLMServiceStatus
from tandem_operator.status.observed import Object
from tandem_operator.status.stored import former_conditions

_SUMMARY: Final = frozenset({ConditionType.RECONCILING, ConditionType.STALLED})
"""Conditions that no Event is about: they say in other terms what Ready and the parts say."""
_PROGRESS: Final = frozenset(
    {"Creating", "RolloutPending", "RollingOut", "Starting", "Loading", "EngineNotRunning", "EmbeddingAway"}
    | {"ScalingDown", "Suspended", "Disabled", "Migrating", "ClaimPending", "NotHeard", "ServiceMonitorApiMissing"}
)
"""Reasons that are no warning, as they belong to the course of things or to what the spec asks for."""


def changes(before: Object, after: LLMServiceStatus) -> list[Change]:
    """Return what to tell about the way from a resource's last status to its new one.

    A part is told about whenever its reason turns; Ready, which repeats the worst part's, and Degraded when they come
    or go.
    """
    known = former_conditions(before.get("status"))
    return [_change(condition) for condition in after.conditions if _has_turned(known.get(condition.type), condition)]


def _has_turned(known: Condition | None, condition: Condition) -> bool:
    status, reason = (known.status, known.reason) if known else (ConditionStatus.FALSE, "")
    if condition.type in (ConditionType.READY, ConditionType.DEGRADED):
        return status != condition.status
    return condition.type not in _SUMMARY and (status, reason) != (condition.status, condition.reason)


def _change(condition: Condition) -> Change:
    holds = condition.status == ConditionStatus.TRUE
    good = holds != (condition.type == ConditionType.DEGRADED)
    return Change(
        reason=condition.type if good and holds else condition.reason,
        message=f"{condition.type}: {condition.message}",
        warning=not good and condition.reason not in _PROGRESS,
    )
