"""Whether a client that declares a tool of the server's name means the server's tool."""

from typing import Any, Final

MAX_BRANCHES: Final = 8  # of a declaration's anyOf: what a client sends must not cost more than our own schema
_CHOICES: Final = ("anyOf", "oneOf")
_OPAQUE: Final = frozenset({"$ref", "allOf", "not"})
"""Keywords that would have to be followed; schemas with them fit only what equals them."""
_SPECIAL: Final = _OPAQUE.union(_CHOICES)


def fits(declared: Any, ours: Any) -> bool:
    """Return whether what the schema `declared` has a model write is what `ours` takes, as far as names and kinds tell.

    Each property must be one of ours, of a type and with values that ours has, and those that ours requires must be
    among them. A declaration without properties stands for the tool of its name. Limits of length and the like are not
    compared: a model that breaks one is told so.
    """
    if declared is None or declared == ours or ours is True:
        return True
    if not (isinstance(declared, dict) and isinstance(ours, dict)):
        return False
    if not (declared.keys().isdisjoint(_SPECIAL) and ours.keys().isdisjoint(_SPECIAL)):
        return _some_fit(declared, ours)
    return _types_fit(declared, ours) and _values_fit(declared, ours) and _parts_fit(declared, ours)


def _some_fit(declared: dict[str, Any], ours: dict[str, Any]) -> bool:
    """Return whether they fit where one of the two leaves a choice."""
    if not (declared.keys().isdisjoint(_OPAQUE) and ours.keys().isdisjoint(_OPAQUE)):
        return False
    if branches := _branches(declared):
        return len(branches) <= MAX_BRANCHES and all(
            not (isinstance(branch, dict) and _branches(branch)) and fits(branch, ours) for branch in branches
        )
    return any(fits(declared, branch) for branch in _branches(ours))


def _branches(schema: dict[str, Any]) -> list[Any]:
    return next((found for name in _CHOICES if isinstance(found := schema.get(name), list)), [])


def _types_fit(declared: dict[str, Any], ours: dict[str, Any]) -> bool:
    wanted, taken = declared.get("type"), ours.get("type")
    if wanted == taken or taken is None:
        return True
    allowed = _list(taken)
    return _are_among(_list(wanted), [*allowed, "integer"] if "number" in allowed else allowed)


def _values_fit(declared: dict[str, Any], ours: dict[str, Any]) -> bool:
    if not ("enum" in ours or "const" in ours):
        return True
    return _are_among(_values(declared), _values(ours))


def _parts_fit(declared: dict[str, Any], ours: dict[str, Any]) -> bool:
    if "items" in declared and "items" in ours and not fits(declared["items"], ours["items"]):
        return False
    wanted, taken = declared.get("properties"), ours.get("properties")
    if not isinstance(wanted, dict) or not wanted:
        return True
    if taken is None:
        return ours.get("additionalProperties") is not False
    if not (wanted.keys() <= taken.keys() and wanted.keys() >= set(ours.get("required", ()))):
        return False
    return all(fits(schema, taken[name]) for name, schema in wanted.items())


def _values(schema: dict[str, Any]) -> list[Any]:
    return [schema["const"]] if "const" in schema else _list(schema.get("enum"))


def _are_among(wanted: list[Any], taken: list[Any]) -> bool:
    return len(wanted) <= len(taken) and all(value in taken for value in wanted)


def _list(value: Any) -> list[Any]:
    """Return a keyword's value as a list: one value is a list of one, none an empty list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
