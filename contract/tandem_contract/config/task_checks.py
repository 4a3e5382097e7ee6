"""What tasks cannot know about each other, and what their parts cannot. Each finding begins with its setting's path."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from tandem_contract import json_schema, output_shape, prompt_template
from tandem_contract.config.tasks import Task

OWN_PATHS: Final = frozenset(
    {"admin", "chat", "docs", "health", "live", "metrics", "openapi.json", "ready", "redoc", "tokenize", "v1"}
)
"""With what the paths of the API itself begin."""
OWN_FIELDS: Final = frozenset({"messages", "model", "n", "response_format", "stream", "tandem", "tools"})
"""Fields of its chat that a task fills itself."""
DOCUMENTS: Final = "documents"
"""What prompts call the passages that were found for them."""
_MORE_PROPERTIES: Final = ("additionalProperties", "patternProperties")


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of an input: an object, without other properties unless it says so."""
    return {"type": "object", "additionalProperties": False, **schema}


def errors(tasks: Sequence[Task]) -> Iterator[str]:
    """Yield what makes the tasks unusable."""
    yield from _versions(tasks)
    yield from _paths(tasks)
    for n, task in enumerate(tasks):
        place = task.place(n)
        yield from _schemas(task, place)
        yield from _prompts(task, place)
        for name in sorted(OWN_FIELDS & task.parameters.keys()):
            yield f"{place}.parameters.{name}: is for the task itself to say; leave it out"


def unknown_models(tasks: Sequence[Task], known: frozenset[str]) -> Iterator[str]:
    """Yield which tasks name a model that the configuration does not."""
    for n, task in enumerate(tasks):
        if task.model is not None and task.model not in known:
            yield (
                f"{task.place(n)}.model: no upstream names the model {task.model!r}; "
                "unless an engine lists it itself, the task cannot be answered"
            )


def _versions(tasks: Sequence[Task]) -> Iterator[str]:
    first: dict[tuple[str, str], str] = {}
    weights: dict[str, int] = {}
    for n, task in enumerate(tasks):
        version, place = (task.name, task.version), task.place(n)
        if version in first:
            yield (
                f"{place}.version: version {task.version!r} of {task.name!r} stands at {first[version]} already; "
                "a request could mean either"
            )
        first.setdefault(version, place)
        weights[task.name] = weights.get(task.name, 0) + task.weight
    for n, task in enumerate(tasks):
        if weights.pop(task.name, 1) == 0:
            yield f"{task.place(n)}.weight: all versions of {task.name!r} have 0, and none would get a request"


def _paths(tasks: Sequence[Task]) -> Iterator[str]:
    names: dict[str, str] = {}
    paths: dict[str, str] = {}
    for n, task in enumerate(tasks):
        path = task.path
        if path is None:
            continue
        if path.split("/")[1] in OWN_PATHS:
            yield f"{task.place(n)}.path: {path} belongs to the API itself; choose another"
        if names.setdefault(path, task.name) != task.name:
            yield f"{task.place(n)}.path: {path} is that of the task {names[path]!r} already"
        if paths.setdefault(task.name, path) != path:
            yield f"{task.place(n)}.path: another version of {task.name!r} has {paths[task.name]}; they share one"


def _schemas(task: Task, place: str) -> Iterator[str]:
    if task.input.get("type", "object") != "object":
        yield f"{place}.input.type: an input is an object, whose properties the prompt names"
    for name, schema in (("input", closed(task.input)), ("output", task.output or {})):
        try:
            json_schema.check(schema)
        except json_schema.InvalidSchema as error:
            yield f"{place}.{name}.{error.path}".removesuffix(".") + f": no JSON schema: {error.message}"
            return
    try:
        output_shape.check_schema(task.output or {})
    except output_shape.ShapeError as error:
        yield f"{place}.output.{error.path}".removesuffix(".") + f": {error.message}"


def _prompts(task: Task, place: str) -> Iterator[str]:
    schema = closed(task.input)
    properties = schema.get("properties", {})
    if any(schema.get(name, False) is not False for name in _MORE_PROPERTIES) or not isinstance(properties, dict):
        return
    found = set[str]()
    templates = [("prompt", task.prompt), ("systemPrompt", task.system_prompt)]
    if task.retrieval is not None:
        found.add(DOCUMENTS)
        if DOCUMENTS in properties:
            yield f"{place}.input.properties.{DOCUMENTS}: prompts call so what retrieval finds; choose another name"
        yield from _unknown(task.retrieval.query, properties.keys(), f"{place}.retrieval.query")
    for name, text in templates:
        if text is not None:
            yield from _unknown(text, properties.keys() | found, f"{place}.{name}")


def _unknown(template: str, known: AbstractSet[str], place: str) -> Iterator[str]:
    for name in sorted(prompt_template.compiled(template).variables - known):
        yield f"{place}: the input has no property {name!r}; add it to input.properties, or mend the name"
