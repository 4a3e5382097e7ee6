"""What is worth an Event: conditions whose status or reason turned."""

from collections.abc import Iterator
from typing import Final

from tandem_operator.api.status import Change, Condition, ConditionStatus, ConditionType, LLMServiceStatus
from tandem_operator.status.observed import Object
from tandem_operator.status.stored import former_conditions, former_engine

_SUMMARY: Final = frozenset({ConditionType.RECONCILING, ConditionType.STALLED, ConditionType.ADDITIONAL_ENGINES_READY})
"""Conditions that no Event is about: they say in other terms what Ready and the parts say."""
_PROGRESS: Final = frozenset(
    {"Creating", "RolloutPending", "RollingOut", "Starting", "Loading", "EngineNotRunning", "EmbeddingAway"}
    | {
        "AdditionalEngineAway",
        "Fetching",
        "Inspecting",
        "NotEstimated",
        "NotSized",
        "AcceleratorUnknown",
        "NotMeasured",
    }
    | {"ScalingDown", "Suspended", "Disabled", "Migrating", "ClaimPending", "NotHeard", "ServiceMonitorApiMissing"}
    | {"NotVerified", "Progressing", "Paused", "Promoting", "Undone"}
)
"""Reasons that are no warning, as they belong to the course of things or to what the spec asks for."""


def changes(before: Object, after: LLMServiceStatus) -> list[Change]:
    """Return what to tell about the way from a resource's last status to its new one.

    A part, such as an additional engine, is told about whenever its reason turns; Ready, which repeats the worst
    part's, and Degraded when they come or go.
    """
    known = former_conditions(before.get("status"))
    told = [_change(condition) for condition in after.conditions if _has_turned(known.get(condition.type), condition)]
    return [*told, *_of_engines(before, after)]


def _of_engines(before: Object, after: LLMServiceStatus) -> Iterator[Change]:
    for engine in after.additional_engines or ():
        known = former_conditions(former_engine(before.get("status"), engine.name))
        for condition in engine.conditions:
            if _has_another_reason(known.get(condition.type), condition):
                yield _change(condition, f"additionalEngines.{engine.name} ")


def _has_turned(known: Condition | None, condition: Condition) -> bool:
    if condition.type in (ConditionType.READY, ConditionType.DEGRADED):
        return (known.status if known else ConditionStatus.FALSE) != condition.status
    return condition.type not in _SUMMARY and _has_another_reason(known, condition)


def _has_another_reason(known: Condition | None, condition: Condition) -> bool:
    former = (known.status, known.reason) if known else (ConditionStatus.FALSE, "")
    return former != (condition.status, condition.reason)


def _change(condition: Condition, whose: str = "") -> Change:
    holds = condition.status == ConditionStatus.TRUE
    good = holds != (condition.type == ConditionType.DEGRADED)
    return Change(
        reason=condition.type if good and holds else condition.reason,
        message=f"{whose}{condition.type}: {condition.message}",
        warning=not good and condition.reason not in _PROGRESS,
    )
