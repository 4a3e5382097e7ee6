"""JSON schemas: what stands in a configuration as one, and is to be checked before it is used."""

from collections.abc import Iterator
from typing import Any, Final

import jsonschema_rs

NULLABLE: Final = frozenset({"const", "default"})
"""Keywords whose value may be null."""
NAMED: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords with schemas by names of their author's."""
INNER: Final = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "contains", "propertyNames"}) | {
    "items",
    "prefixItems",
    "additionalItems",
    "unevaluatedItems",
    "additionalProperties",
    "unevaluatedProperties",
}
"""Keywords with a schema, or a list of them."""

_LINEAR: Final = jsonschema_rs.RegexOptions()


class InvalidSchema(Exception):
    """A document that is no JSON schema; `path` leads to what is wrong in it, empty where that is all of it."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


def validator(schema: dict[str, Any], *, linear: bool = False) -> jsonschema_rs.Validator:
    """Return what checks documents against the schema; fetches no references. Raise `InvalidSchema` if it is none.

    With `linear` its patterns take time in proportion to a text, whoever wrote that, and may not look around.
    """
    try:
        return jsonschema_rs.validator_for(schema, offline=True, pattern_options=_LINEAR if linear else None)
    except jsonschema_rs.ValidationError as error:
        raise InvalidSchema(_path(error), error.message) from None
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise InvalidSchema("", str(error)) from None


def check(schema: dict[str, Any]) -> None:
    """Raise `InvalidSchema` if it is none, or says null where no keyword is.

    Everybody overlooks such a null, and it is a mistake of YAML's: `{type: string, description: One, two}` says of
    `two` that it is null.
    """
    validator(schema)
    for path in _nulls(schema, ""):
        raise InvalidSchema(
            path, "it is null, and no keyword; quote the text whose comma comes before it, or leave it out"
        )


def problem(error: jsonschema_rs.ValidationError) -> str:
    """Return what is wrong with a document, and where."""
    path = _path(error)
    return f"{path}: {error.message}" if path else error.message


def place(error: jsonschema_rs.ValidationError) -> list[str]:
    """Return the way to what is wrong in a document, down to a property that is missing, or that may not be there."""
    unexpected = getattr(error.kind, "unexpected", None) or []
    named = getattr(error.kind, "property", None) or next(iter(unexpected), None)
    return [*map(str, error.instance_path), *([] if named is None else [str(named)])]


def _nulls(schema: Any, path: str) -> Iterator[str]:
    """Yield the paths of what is null in a schema, but for values that it speaks of and what is in no keyword's."""
    if isinstance(schema, list):
        for n, each in enumerate(schema):
            yield from _nulls(each, f"{path}.{n}")
    for name, value in schema.items() if isinstance(schema, dict) else ():
        where = f"{path}.{name}".removeprefix(".")
        if value is None and name not in NULLABLE:
            yield where
        elif name in NAMED and isinstance(value, dict):
            for named, inner in value.items():
                yield from _nulls(inner, f"{where}.{named}")
        elif name in INNER:
            yield from _nulls(value, where)


def _path(error: jsonschema_rs.ValidationError) -> str:
    return ".".join(map(str, error.instance_path))
