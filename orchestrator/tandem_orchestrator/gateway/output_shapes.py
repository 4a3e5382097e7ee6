"""Bounds the shapes to which a request holds its answer, in whatever field an engine takes them.

`response_format` and `tools` are OpenAI's, `structured_outputs` and `guided_…` vLLM's (the latter before 0.12),
`regex`, `ebnf` and `structural_tag` SGLang's, `json_schema` SGLang's and llama.cpp's, `grammar` llama.cpp's and TGI's.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from tandem_contract.output_shape import ShapeError, check_grammar, check_pattern, check_schema

from tandem_orchestrator.errors import BadRequest

CODE: Final = "invalid_schema"
MOST_TEXT: Final = 262_144
"""Characters of a schema that stands in a text."""
FREE: Final = (None, "auto", "none")
"""What says that no tool has to be called."""

Json = dict[str, Any]
Check = Callable[[Json, str, str], None]
"""Checks a field of a request or of an object in it; the last is its path."""


def check_shapes(payload: Json) -> None:
    """Raise `BadRequest` for a shape that may keep an engine from its other requests.

    A schema that stands in a text is replaced by what was read of it: an engine may read it otherwise.
    """
    _check_fields(payload, SHAPES, "")


def check_schema_at(path: str, schema: Any) -> None:
    """Do so for a schema by itself, which stands at `path` in the client's request."""
    if isinstance(schema, dict):
        _bounded(check_schema, schema, path)


def _check_fields(owner: Json, checks: Mapping[str, Check], path: str) -> None:
    for name in checks.keys() & owner.keys():
        if owner[name] is not None:
            checks[name](owner, name, path + name)


def _schema(owner: Json, name: str, path: str) -> None:
    if isinstance(owner[name], str):
        owner[name] = _read(owner[name], path)
    if isinstance(owner[name], dict | list):
        _bounded(check_schema, owner[name], path)


def _written_schema(owner: Json, name: str, path: str) -> None:
    """Check what engines take as a text alone."""
    _schema(owner, name, path)
    if not isinstance(owner[name], str):
        owner[name] = orjson.dumps(owner[name]).decode()


def _pattern(owner: Json, name: str, path: str) -> None:
    if isinstance(owner[name], str):
        _bounded(check_pattern, owner[name], path)


def _grammar(owner: Json, name: str, path: str) -> None:
    if isinstance(owner[name], str):
        _bounded(check_grammar, owner[name], path)
    _form(owner, name, path)


def _form(owner: Json, name: str, path: str) -> None:
    """Check an object that says by its `type` what its value is."""
    form = owner[name]
    if not isinstance(form, dict):
        return
    if isinstance(form.get("value"), str):
        (_pattern if form.get("type") == "regex" else _schema)(form, "value", f"{path}.value")
    _bounded(check_schema, form, path)


def _structured_outputs(owner: Json, name: str, path: str) -> None:
    if isinstance(owner[name], dict):
        _check_fields(owner[name], STRUCTURED_OUTPUTS, f"{path}.")


def _tools(owner: Json, name: str, path: str) -> None:
    """Check each for itself, and all as one where an engine makes one grammar of them."""
    tools = owner[name]
    if not isinstance(tools, list):
        return
    strict = False
    for n, tool in enumerate(tools):
        if isinstance(tool, dict):
            _bounded(check_schema, tool, f"{path}.{n}")
            function = tool.get("function")
            strict = strict or (isinstance(function, dict) and bool(function.get("strict")))
    if strict or owner.get("tool_choice") not in FREE:
        _bounded(check_schema, tools, path)


def _bounded(check: Callable[[Any], None], shape: Any, path: str) -> None:
    try:
        check(shape)
    except ShapeError as error:
        path = f"{path}.{error.path}" if error.path else path
        raise BadRequest(f"`{path}` {error.message}", param=path, code=CODE) from None


def _read(text: str, path: str) -> Any:
    if len(text) > MOST_TEXT:
        raise BadRequest(f"`{path}` may have {MOST_TEXT} characters", param=path, code=CODE)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"`{path}` is not JSON: {error}", param=path, code=CODE) from None


STRUCTURED_OUTPUTS: Final[Mapping[str, Check]] = {
    "json": _schema,
    "regex": _pattern,
    "choice": _schema,
    "grammar": _grammar,
    "structural_tag": _written_schema,
}
SHAPES: Final[Mapping[str, Check]] = {
    "response_format": _form,
    "tools": _tools,
    "structured_outputs": _structured_outputs,
    "guided_json": _schema,
    "guided_regex": _pattern,
    "guided_choice": _schema,
    "guided_grammar": _grammar,
    "json_schema": _schema,
    "regex": _pattern,
    "ebnf": _grammar,
    "grammar": _grammar,
    "structural_tag": _written_schema,
}
