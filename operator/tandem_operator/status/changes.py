"""What is worth an Event: conditions whose status or reason turned."""

from typing import Any, Final

from tandem_operator.api.status import Change, ConditionStatus, ConditionType, LLMServiceStatus
from tandem_operator.status.observed import Object

_TOLD: Final = (
    ConditionType.MODEL_READY,
    ConditionType.ENGINE_READY,
    ConditionType.ORCHESTRATOR_READY,
    ConditionType.MONITORING_READY,
    ConditionType.READY,
)
_PROGRESS: Final = frozenset(
    {"Creating", "RolloutPending", "RollingOut", "Starting", "Loading", "EngineNotRunning"}
    | {"ScalingDown", "Suspended", "Disabled", "ServiceMonitorApiMissing"}
)


def changes(before: Object, after: LLMServiceStatus) -> list[Change]:
    """Return what to tell about the way from a resource's last status to its new one."""
    known = {c["type"]: (c["status"], c["reason"]) for c in before.get("status", {}).get("conditions", [])}
    return [
        Change(
            f"{condition.type}" if condition.status == ConditionStatus.TRUE else condition.reason,
            f"{condition.type}: {condition.message}",
            warning=condition.status == ConditionStatus.FALSE and condition.reason not in _PROGRESS,
        )
        for condition in after.conditions
        if condition.type in _TOLD and known.get(condition.type) != (condition.status, condition.reason)
    ]


def written(status: LLMServiceStatus) -> dict[str, Any]:
    """Return a status as the API server stores it."""
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)
