"""What clients note about the files of a vector store, and the filters that ask for it. Decides; does no I/O."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Any, Final

from tandem_orchestrator.errors import BadRequest

Value = str | float | bool
Attributes = dict[str, Value]

MOST: Final = 16
LONGEST_KEY: Final = 64
LONGEST_VALUE: Final = 512
MOST_COMPARISONS: Final = 100  # in one filter
DEEPEST: Final = 10
MOST_VALUES: Final = 1000  # of `in` and `nin`
ORDERED: Final[dict[str, Callable[[Any, Any], bool]]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
COMPARISONS: Final = ("eq", "ne", *ORDERED, "in", "nin")
COMPOUNDS: Final = ("and", "or")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One attribute compared with a value, or with several (`in`, `nin`)."""

    kind: str
    key: str
    value: Any

    def matches(self, attributes: Attributes) -> bool:
        """Return whether a file has it so; one without the attribute is only ever `ne` and `nin`."""
        found = attributes.get(self.key)
        if self.kind in ("in", "nin"):
            return any(_same(found, value) for value in self.value) is (self.kind == "in")
        if self.kind in ("eq", "ne"):
            return _same(found, self.value) is (self.kind == "eq")
        if isinstance(found, bool) or isinstance(found, str) is not isinstance(self.value, str) or found is None:
            return False
        return ORDERED[self.kind](found, self.value)


@dataclass(frozen=True, slots=True)
class Compound:
    """All (`and`) or any (`or`) of several filters."""

    kind: str
    filters: tuple["Filter", ...]

    def matches(self, attributes: Attributes) -> bool:
        """Return whether a file has them so."""
        found = (each.matches(attributes) for each in self.filters)
        return all(found) if self.kind == "and" else any(found)


Filter = Comparison | Compound


def attributes_of(value: Any, path: str = "attributes") -> Attributes:
    """Return a file's attributes, none for null. Raises `BadRequest`."""
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MOST:
        raise BadRequest(f"`{path}` must be an object with at most {MOST} attributes", param=path)
    for key, each in value.items():
        if not 0 < len(key) <= LONGEST_KEY:
            raise BadRequest(f"`{path}` has a key that is empty or longer than {LONGEST_KEY} characters", param=path)
        if not _is_value(each) or (isinstance(each, str) and len(each) > LONGEST_VALUE):
            raise BadRequest(
                f"`{path}.{key}` must be a text of at most {LONGEST_VALUE} characters, a number or a boolean",
                param=f"{path}.{key}",
            )
    return dict(value)


def filter_of(value: Any, path: str = "filters") -> Filter | None:
    """Return a filter, None for null. Raises `BadRequest`."""
    if value is None:
        return None
    return _filter(value, path, 1, [0])


def _filter(value: Any, path: str, depth: int, seen: list[int]) -> Filter:
    """Return a filter; `seen` counts the comparisons so far."""
    if not isinstance(value, dict):
        raise BadRequest(f"`{path}` must be an object", param=path)
    kind = value.get("type")
    if kind in COMPOUNDS:
        parts = value.get("filters")
        if not isinstance(parts, list) or not parts:
            raise BadRequest(f"`{path}.filters` must be a list of filters", param=f"{path}.filters")
        if depth >= DEEPEST:
            raise BadRequest(f"`{path}` is nested deeper than {DEEPEST} levels", param=path)
        return Compound(
            kind, tuple(_filter(part, f"{path}.filters.{n}", depth + 1, seen) for n, part in enumerate(parts))
        )
    if kind not in COMPARISONS:
        raise BadRequest(f"`{path}.type` must be one of {', '.join(COMPARISONS + COMPOUNDS)}", param=f"{path}.type")
    seen[0] += 1
    if seen[0] > MOST_COMPARISONS:
        raise BadRequest(f"`filters` has more than {MOST_COMPARISONS} comparisons", param="filters")
    key = value.get("key")
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY:
        raise BadRequest(f"`{path}.key` must be the name of an attribute", param=f"{path}.key")
    return Comparison(kind, key, _compared(kind, value.get("value"), f"{path}.value"))


def _compared(kind: str, value: Any, path: str) -> Any:
    if kind in ("in", "nin"):
        if not isinstance(value, list) or len(value) > MOST_VALUES or not all(map(_is_value, value)):
            raise BadRequest(f"`{path}` must be a list of at most {MOST_VALUES} texts, numbers or booleans", param=path)
        return tuple(value)
    if not _is_value(value):
        raise BadRequest(f"`{path}` must be a text, a number or a boolean", param=path)
    if kind in ORDERED and isinstance(value, bool):
        raise BadRequest(f"`{path}` must be a text or a number: {kind} compares by order", param=path)
    return value


def _is_value(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _same(found: Any, value: Any) -> bool:
    """Return whether two values are the same; true is not 1 here."""
    return isinstance(found, bool) is isinstance(value, bool) and bool(found == value)
