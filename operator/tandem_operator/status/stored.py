"""What a stored status says, whatever version of the operator wrote it; what is not understood is left out."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from tandem_operator.api.status import Condition, ConditionType, LLMServiceStatus

_FIELDS: Final = tuple(field.alias or name for name, field in Condition.model_fields.items())


def former_conditions(status: Any) -> dict[ConditionType, Condition]:
    """Return the conditions of a stored status by their type."""
    listed = _mapping(status).get("conditions")
    found = [_condition(_mapping(item)) for item in (listed if isinstance(listed, list) else ())]
    return {condition.type: condition for condition in found if condition}


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
