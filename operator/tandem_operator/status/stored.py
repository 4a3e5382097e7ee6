"""The status as the API server stores it: what the last one says, and how verdicts become the next.

A former status may be of any version of the operator; what is not understood is left out.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from tandem_operator.api.status import Condition, ConditionStatus, ConditionType, LLMServiceStatus

_FIELDS: Final = tuple(field.alias or name for name, field in Condition.model_fields.items())


class Verdict(NamedTuple):
    """What a condition is to say."""

    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str


def conditions(
    verdicts: Iterable[Verdict], former: Mapping[ConditionType, Condition], generation: int, now: datetime
) -> list[Condition]:
    """Return the conditions that say this; one whose status is as it was keeps its time."""
    return [
        Condition(
            type=verdict.type,
            status=verdict.status,
            reason=verdict.reason,
            message=verdict.message,
            observed_generation=generation,
            last_transition_time=_since(former.get(verdict.type), verdict.status, now),
        )
        for verdict in verdicts
    ]


def _since(former: Condition | None, status: ConditionStatus, now: datetime) -> str:
    if former and former.status == status:
        return former.last_transition_time
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def written(status: LLMServiceStatus) -> dict[str, Any]:
    """Return a status as the API server stores it."""
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


def former_conditions(status: Any) -> dict[ConditionType, Condition]:
    """Return the conditions of a stored status by their type."""
    listed = _mapping(status).get("conditions")
    found = [_condition(_mapping(item)) for item in (listed if isinstance(listed, list) else ())]
    return {condition.type: condition for condition in found if condition}


def former_engine(status: Any, name: str) -> Mapping[str, Any]:
    """Return what a stored status tells of an additional engine; empty if nothing."""
    listed = _mapping(status).get("additionalEngines")
    engines = map(_mapping, listed if isinstance(listed, list) else ())
    return next((engine for engine in engines if engine.get("name") == name), {})


def former_figures(status: Any) -> LLMServiceStatus:
    """Return a stored status without its conditions."""
    kept: dict[str, Any] = {}
    for name, value in _mapping(status).items():
        try:
            figure = LLMServiceStatus.model_validate({name: value})
        except ValidationError:
            continue
        kept.update({field: getattr(figure, field) for field in figure.model_fields_set})
    return LLMServiceStatus().model_copy(update={**kept, "conditions": []})


def _condition(stored: Mapping[str, Any]) -> Condition | None:
    try:
        return Condition.model_validate({name: stored[name] for name in _FIELDS if name in stored})
    except ValidationError:
        return None


def _mapping(stored: Any) -> Mapping[str, Any]:
    return stored if isinstance(stored, Mapping) else {}
