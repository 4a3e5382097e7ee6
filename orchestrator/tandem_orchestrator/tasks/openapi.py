"""What OpenAPI tells of tasks: two operations each, with their inputs and outputs as schemas. Decides; does no I/O."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from urllib.parse import unquote

from tandem_orchestrator.tasks.paths import PATH, VERSION_HEADER

Json = dict[str, Any]

SCHEMAS: Final = "#/components/schemas/"
_DEFINITIONS: Final = ("$defs", "definitions")
_NAMED: Final = frozenset({*_DEFINITIONS, "properties", "patternProperties", "dependentSchemas"})
"""Keywords that hold schemas by name; of the others that hold some, one or a list."""
_PARTS: Final = frozenset(
    {
        *("items", "prefixItems", "additionalItems", "contains", "unevaluatedItems"),
        *("additionalProperties", "propertyNames", "unevaluatedProperties"),
        *("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "contentSchema"),
    }
)
_ITS_OWN: Final = ("$schema", "$id", *_DEFINITIONS)
_STRING: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_USAGE: Final = {
    "type": "object",
    "properties": dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), _COUNT),
    "required": ["prompt_tokens", "completion_tokens", "total_tokens"],
}
_ERROR: Final = {
    "type": "object",
    "properties": {
        "message": _STRING,
        "type": _STRING,
        "param": {"type": ["string", "null"]},
        "code": {"type": ["string", "integer", "null"]},
    },
    "required": ["message", "type"],
}
_ERRORS: Final = {
    "400": "The input does not fit (`code` is `invalid_input`, `param` says where), or the request.",
    "401": "The key is missing or wrong.",
    "403": "The key does not allow this.",
    "404": "There is no such version.",
    "429": "A limit is used up, or the engines are full.",
    "502": "The model's output does not fit (`invalid_output`), or its engine failed.",
    "503": "No engine is there.",
    "504": "It took too long.",
}
_SECURITY: Final[list[dict[str, list[str]]]] = [{"HTTPBearer": []}, {"APIKeyHeader": []}]
_EVENTS: Final = (
    "With `stream`: events `task.partial`, each of whose `output` parses, then `task.completed`; with `inputs` "
    "`task.item` for each as it is done."
)


def described(tasks: Sequence[Json], taken: Iterable[str], most_inputs: int) -> tuple[Json, Json]:
    """Return the paths and schemas of tasks, as `Tasks.shown` has them, for a document with the schemas `taken`."""
    schemas, operations = _Schemas(taken), _Names()
    usage, error = schemas.add("TaskUsage", _USAGE), schemas.add("TaskError", _ERROR)
    failure = schemas.add("TaskFailure", _object({"error": error}, "error"))
    content = {"application/json": {"schema": failure}}
    errors = {status: {"description": text, "content": content} for status, text in _ERRORS.items()}
    paths: Json = {}
    for each in tasks:
        task = _Task(each, schemas, usage, error)
        name = each["name"].replace("-", "_")
        paths[f"{PATH}/{each['name']}"] = {"post": task.operation(operations.new(name), most_inputs, errors)}
        if each["path"] is not None:
            paths[each["path"]] = {"post": task.short_operation(operations.new(f"{name}_output"), errors)}
    return paths, schemas.all


class _Task:
    """One task's operations."""

    def __init__(self, task: Json, schemas: "_Schemas", usage: Json, error: Json) -> None:
        self._task = task
        self._schemas = schemas
        self._usage = usage
        self._error = error
        self._title = "".join(part.capitalize() for part in task["name"].split("-"))
        self._input = schemas.of(f"{self._title}Input", [version["input"] for version in task["versions"]])
        self._output = schemas.of(f"{self._title}Output", [version["output"] for version in task["versions"]])

    def operation(self, name: str, most_inputs: int, errors: Json) -> Json:
        """Return what its path among the tasks takes and gives."""
        answers = {"application/json": {"schema": {"anyOf": self._results()}}, "text/event-stream": {}}
        answer = {"description": f"The output, or one of each input. {_EVENTS}", "content": answers}
        return self._operation(name, {"anyOf": self._requests(most_inputs)}, {"200": answer, **errors})

    def short_operation(self, name: str, errors: Json) -> Json:
        """Return what its own path takes and gives."""
        answer = {
            "description": "The output.",
            "headers": {VERSION_HEADER.decode(): {"schema": _STRING}},
            "content": {"application/json": {"schema": self._output}},
        }
        return self._operation(name, self._input, {"200": answer, **errors})

    def _operation(self, name: str, asked: Json, answers: Json) -> Json:
        return {
            "tags": ["tasks"],
            "summary": self._task["name"],
            "description": self._description(),
            "operationId": name,
            "security": _SECURITY,
            "requestBody": {"required": True, "content": {"application/json": {"schema": asked}}},
            "responses": answers,
        }

    def _description(self) -> str:
        versions = self._task["versions"]
        shares = ", ".join(f"{version['version']} (weight {version['weight']})" for version in versions)
        told = f"Versions, which share its requests by weight: {shares}." if len(versions) > 1 else ""
        return "\n\n".join(filter(None, (self._task["description"], told)))

    def _requests(self, most_inputs: int) -> list[Json]:
        both = {
            "stream": {"type": "boolean", "default": False},
            "version": {**_STRING, "description": "The version to ask; by weight where none is named."},
        }
        inputs = {"type": "array", "items": self._input, "minItems": 1, "maxItems": most_inputs}
        return [
            self._add("Request", _object({"input": self._input, **both}, "input", additionalProperties=False)),
            self._add("ManyRequest", _object({"inputs": inputs, **both}, "inputs", additionalProperties=False)),
        ]

    def _results(self) -> list[Json]:
        head = {
            "id": _STRING,
            "created_at": {"type": "integer", "description": "Seconds since 1970."},
            "task": _STRING,
            "version": _STRING,
            "model": _STRING,
            "usage": self._usage,
        }
        entry = _object({"index": _COUNT, "output": self._output, "error": self._error}, "index")
        item = self._add("Item", {**entry, "description": "An input's output, or why there is none."})
        one = {"object": {"const": "task.result", **_STRING}, "output": self._output}
        many = {"object": {"const": "task.results", **_STRING}, "results": {"type": "array", "items": item}}
        return [
            self._add("Result", _object({**head, **one}, *head, *one)),
            self._add("Results", _object({**head, **many}, *head, *many)),
        ]

    def _add(self, what: str, schema: Json) -> Json:
        return self._schemas.add(f"{self._title}{what}", schema)


def _object(properties: Json, *required: str, **more: Any) -> Json:
    return {"type": "object", "properties": properties, "required": list(required), **more}


def _either(schemas: Sequence[Json]) -> Json:
    return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}


class _Names:
    """Gives out names, each once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {name.casefold() for name in taken}

    def new(self, wanted: str) -> str:
        """Return the name, with a number behind it where it was given out."""
        name, number = wanted, 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{wanted}{number}"
        self._taken.add(name.casefold())
        return name


class _Schemas:
    """Components of the document."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.all: Json = {}
        self._names = _Names(taken)

    def add(self, wanted: str, schema: Json) -> Json:
        """Take a schema without references of its own; return one to it."""
        name = self._names.new(wanted)
        self.all[name] = {"title": name, **schema}
        return {"$ref": SCHEMAS + name}

    def of(self, wanted: str, versions: Iterable[Json]) -> Json:
        """Take the schemas of a task's versions, those that are equal once; return a reference to any of them."""
        different: list[Json] = []
        different += (schema for schema in versions if schema not in different)
        return _either([self._moved(wanted, schema) for schema in different])

    def _moved(self, wanted: str, schema: Json) -> Json:
        """Take a whole document, whose definitions become schemas of their own."""
        root = self._names.new(wanted)
        moved = {
            f"#/{keyword}/{_escaped(name)}": (self._names.new(f"{root}{_letters(name)}"), inner)
            for keyword in _DEFINITIONS
            for name, inner in schema.get(keyword, {}).items()
        }
        places = {pointer: SCHEMAS + name for pointer, (name, _) in moved.items()}

        def resolved(reference: str) -> str:
            pointer = unquote(reference)
            for begin, place in places.items():
                if pointer == begin or pointer.startswith(f"{begin}/"):
                    return place + pointer.removeprefix(begin)
            return SCHEMAS + root + pointer[1:] if pointer == "#" or pointer.startswith("#/") else reference

        whole = {name: value for name, value in schema.items() if name not in _ITS_OWN}
        for name, inner in ((root, whole), *moved.values()):
            self.all[name] = _rewritten(inner, resolved)
            if isinstance(self.all[name], dict):
                self.all[name] = {**self.all[name], "title": name}  # of which clients make the names of classes
        return {"$ref": SCHEMAS + root}


def _rewritten(schema: Any, resolved: Callable[[str], str]) -> Any:
    """Return a schema whose references lead where they do after `resolved`; data in it, such as a default, stays."""
    if not isinstance(schema, dict):
        return schema
    made: Json = {}
    for keyword, value in schema.items():
        if keyword == "$ref" and isinstance(value, str):
            made[keyword] = resolved(value)
        elif keyword in _NAMED and isinstance(value, dict):
            made[keyword] = {name: _rewritten(inner, resolved) for name, inner in value.items()}
        elif keyword in _PARTS:
            parts = [_rewritten(inner, resolved) for inner in value] if isinstance(value, list) else None
            made[keyword] = _rewritten(value, resolved) if parts is None else parts
        else:
            made[keyword] = value
    return made


def _escaped(name: str) -> str:
    """Return a name as a JSON pointer has it."""
    return name.replace("~", "~0").replace("/", "~1")


def _letters(name: str) -> str:
    """Return what of a name may be in that of a component."""
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in name).split()
    return "".join(word[0].upper() + word[1:] for word in words)
