"""JSON schemas: what stands in a configuration as one, and is to be checked before it is used."""

from typing import Any, Final

import jsonschema_rs

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


def problem(error: jsonschema_rs.ValidationError) -> str:
    """Return what is wrong with a document, and where."""
    path = _path(error)
    return f"{path}: {error.message}" if path else error.message


def place(error: jsonschema_rs.ValidationError) -> list[str]:
    """Return the way to what is wrong in a document, down to a property that is missing, or that may not be there."""
    unexpected = getattr(error.kind, "unexpected", None) or []
    named = getattr(error.kind, "property", None) or next(iter(unexpected), None)
    return [*map(str, error.instance_path), *([] if named is None else [str(named)])]


def _path(error: jsonschema_rs.ValidationError) -> str:
    return ".".join(map(str, error.instance_path))
