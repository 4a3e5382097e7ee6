"""Rules across fields, written once for two judges: CEL in the API server and Python in the operator."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Self

from pydantic import GetJsonSchemaHandler, JsonValue, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError
from tandem_contract.config import Section

NOT_STORED: Final[dict[str, JsonValue]] = {"x-defaults-described": True}
"""Schema of a field whose default is described but not stored. A default that a newer definition stores would be an
unknown field to the operator of the release before, which runs on for a while and is what a rollback brings back."""


@dataclass(frozen=True)
class Rule:
    """What must hold for one section of the spec; `message` names the field and says what to do."""

    cel: str
    holds: Callable[[Any], bool]
    message: str
    field: str = ""
    """Name, as in YAML, of the field to blame; empty blames the section."""

    def where(self, cel: str, applies: Callable[[Any], bool]) -> "Rule":
        """Return the rule for those sections alone to which it `applies`."""
        return replace(self, cel=f"!({cel}) || ({self.cel})", holds=lambda it: not applies(it) or self.holds(it))

    def schema(self) -> dict[str, str]:
        """Return the entry of `x-kubernetes-validations`."""
        entry = {"rule": self.cel, "message": self.message}
        return {**entry, "fieldPath": f".{self.field}"} if self.field else entry


class Ruled(Section):
    """A section with rules across its fields."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        broken = [rule for rule in self.rules if not rule.holds(self)]
        if broken:
            raise PydanticCustomError("rule", "{text}", {"text": "; ".join(rule.message for rule in broken)})
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        if cls.rules:
            definition = handler.resolve_ref_schema(schema)
            definition["x-kubernetes-validations"] = [rule.schema() for rule in cls.rules]
        return schema
