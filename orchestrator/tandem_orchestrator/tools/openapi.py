"""The operations of an OpenAPI 3 document as tools."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urljoin

import orjson
import yaml
from tandem_contract.config import OpenApi as OpenApiSettings

from tandem_orchestrator.config.yaml_text import YamlError, parse
from tandem_orchestrator.tools.http_tool import (
    JSON,
    HttpTool,
    Service,
    fill_url,
    header_text,
    text_of,
    with_query,
)
from tandem_orchestrator.tools.outbound import HttpRequest
from tandem_orchestrator.tools.tool import Function

FORM: Final = "application/x-www-form-urlencoded"
METHODS: Final = ("get", "put", "post", "delete", "patch")
MAX_NAME: Final = 64
MAX_DESCRIPTION: Final = 1024
MAX_NODES: Final = 20_000  # of one operation's schema, its references followed
IGNORED_HEADERS: Final = frozenset({"accept", "authorization", "content-type"})  # as parameters; OpenAPI says so
CONNECTION_HEADERS: Final = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
_UNSAFE: Final = re.compile(r"[^a-zA-Z0-9_-]+")


class DocumentError(Exception):
    """The document cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operation; `argument` is what the model calls it."""

    argument: str
    name: str
    location: str
    explode: bool
    style: str


@dataclass(frozen=True, slots=True)
class Operation:
    """How an operation's request is made of arguments."""

    method: str
    url: str
    parameters: tuple[Parameter, ...]
    body: str | None
    """The argument that is the request's body."""
    kind: str = JSON

    def __call__(self, arguments: dict[str, Any]) -> HttpRequest:
        """Return the request. Raises `ToolError`."""
        names = {parameter.name for parameter in self.parameters}
        in_path: dict[str, Any] = {}
        query: dict[str, Any] = {}
        headers: dict[str, str] = {}
        for parameter in self.parameters:
            value = arguments.get(parameter.argument)
            if value is None:
                continue
            if parameter.location == "query":
                found = _in_query(parameter, value)
                query |= {name: item for name, item in found.items() if name == parameter.name or name not in names}
            elif parameter.location == "header":
                headers[parameter.name.lower()] = header_text(_joined(value))
            else:
                in_path[parameter.name] = _joined(value)
        url = with_query(fill_url(self.url, in_path), query)
        if self.body is None or self.body not in arguments:
            return HttpRequest(self.method, url, headers)
        return HttpRequest(self.method, url, {**headers, "content-type": self.kind}, self._written(arguments))

    def _written(self, arguments: dict[str, Any]) -> bytes:
        content = arguments[self.body or ""]
        if self.kind == FORM:
            return urlencode({name: text_of(value) for name, value in content.items()}).encode()
        return orjson.dumps(content)


def read_document(text: bytes) -> dict[str, Any]:
    """Return the document in JSON or YAML. Raises `DocumentError`."""
    try:
        document = orjson.loads(text) if text.lstrip()[:1] == b"{" else parse(text, _YAML)
    except (orjson.JSONDecodeError, YamlError) as error:
        raise DocumentError(f"is neither JSON nor YAML: {error}") from None
    if not isinstance(document, dict) or not str(document.get("openapi")).startswith("3."):
        raise DocumentError("is no OpenAPI 3 document: `openapi` must be 3.…")
    return document


def server_of(document: dict[str, Any], settings: OpenApiSettings) -> str:
    """Return where the document's requests go, without a slash at the end. Raises `DocumentError`."""
    servers = document.get("servers") or [{"url": "/"}]
    url = str(servers[0].get("url"))
    for name, variable in (servers[0].get("variables") or {}).items():
        url = url.replace(f"{{{name}}}", str(variable.get("default")))
    url = settings.base_url or (urljoin(settings.url, url) if settings.url else url)
    if not url.startswith(("http://", "https://")) or "{" in url:
        raise DocumentError(f"names no server with a full URL (found {url!r}); set baseUrl")
    return url.rstrip("/")


def tools_of(document: dict[str, Any], settings: OpenApiSettings, service: Service) -> list[HttpTool]:
    """Return a tool for each operation that is wanted. Raises `DocumentError`."""
    server = server_of(document, settings)
    given = {name.lower() for name in (*settings.headers, *(header.name for header in settings.secret_headers))}
    tools: dict[str, HttpTool] = {}
    known = set()
    for path, method, operation in _operations(document):
        operation_id = operation.get("operationId") or f"{method}{path}"
        known.add(operation_id)
        if operation_id in settings.exclude or (settings.include and operation_id not in settings.include):
            continue
        name = f"{settings.name}_{_UNSAFE.sub('_', operation_id).strip('_')}"[:MAX_NAME]
        if name in tools:
            raise DocumentError(f"has two operations that would be called {name}")
        try:
            plan, schema = _planned(f"{server}{path}", method, operation, document, given)
        except DocumentError as error:
            raise DocumentError(f"{operation_id}: {error}") from None
        described = operation.get("description") or operation.get("summary") or operation_id
        tools[name] = HttpTool(Function(name, described[:MAX_DESCRIPTION], schema), plan, service)
    if unknown := {*settings.include, *settings.exclude} - known:
        raise DocumentError(f"has no operation {', '.join(sorted(unknown))}")
    return list(tools.values())


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in (document.get("paths") or {}).items():
        if not str(path).startswith("/"):  # behind the server's URL it could be the end of another host's name
            raise DocumentError(f"has the path {path!r}, which does not begin with /")
        resolved = _resolved(item, document)
        for method in METHODS:
            if isinstance(operation := resolved.get(method), dict):
                shared = resolved.get("parameters") or []
                yield path, method, {**operation, "parameters": [*shared, *(operation.get("parameters") or [])]}


def _planned(
    url: str, method: str, operation: dict[str, Any], document: dict[str, Any], given: set[str]
) -> tuple[Operation, dict[str, Any]]:
    schemas = _Schemas(document)
    properties: dict[str, Any] = {}
    required: list[str] = []
    parameters = []
    for described in _parameters(operation, document, given):
        argument = (
            described["name"] if described["name"] not in properties else f"{described['name']}_{described['in']}"
        )
        properties[argument] = _described(schemas.inlined(described.get("schema") or {}), described)
        if described.get("required") or described["in"] == "path":
            required.append(argument)
        style = described.get("style", "form")
        explode = described.get("explode", style == "form")
        parameters.append(Parameter(argument, described["name"], described["in"], explode, style))
    body, kind = None, JSON
    if "requestBody" in operation:
        content = _resolved(operation["requestBody"], document)
        kind, schema = _body(content)
        body = "body" if "body" not in properties else "request_body"
        properties[body] = _described(schemas.inlined(schema), content)
        if content.get("required"):
            required.append(body)
    plan = Operation(method.upper(), url, tuple(parameters), body, kind)
    return plan, {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _parameters(operation: dict[str, Any], document: dict[str, Any], given: set[str]) -> list[dict[str, Any]]:
    """Return the parameters, without the headers that are `given` or not the model's to choose.

    An operation's own parameter replaces that of its path with the same name and location.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in operation["parameters"]:
        parameter = _resolved(entry, document)
        name, location = str(parameter.get("name")), parameter.get("in")
        if location == "cookie":
            if parameter.get("required") and location not in given:
                raise DocumentError(f"the parameter {name} goes into a cookie, which is not supported; exclude it")
        elif location in ("path", "query", "header"):
            if location != "header" or name.lower() not in given | IGNORED_HEADERS | CONNECTION_HEADERS:
                found[name, location] = parameter
        else:
            raise DocumentError(f"the parameter {name} is `in` {location!r}")
    return list(found.values())


def _body(content: dict[str, Any]) -> tuple[str, Any]:
    kinds = content.get("content") or {}
    for kind, media in kinds.items():
        if kind.partition(";")[0].strip() in (JSON, FORM) or kind.endswith("+json"):
            return kind, media.get("schema") or {}
    raise DocumentError(f"takes a body of {', '.join(kinds) or 'no type'}, and not of JSON or a form; exclude it")


def _described(schema: Any, described: Mapping[str, Any]) -> Any:
    text = described.get("description")
    return {**schema, "description": text[:MAX_DESCRIPTION]} if text and isinstance(schema, dict) else schema


def _in_query(parameter: Parameter, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        if parameter.style == "deepObject":
            return {f"{parameter.name}[{key}]": item for key, item in value.items()}
        return value if parameter.explode else {parameter.name: _joined(value)}
    if isinstance(value, list) and not parameter.explode:
        return {parameter.name: _joined(value)}
    return {parameter.name: value}


def _joined(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key},{text_of(item)}" for key, item in value.items())
    return ",".join(text_of(item) for item in value) if isinstance(value, list) else text_of(value)


def _resolved(node: Any, document: dict[str, Any]) -> dict[str, Any]:
    """Return `node`, or what its `$ref` stands for. Raises `DocumentError`."""
    for _ in range(MAX_NAME):
        if not isinstance(node, dict):
            raise DocumentError(f"has {node!r} where an object belongs")
        if "$ref" not in node:
            return node
        reference = str(node["$ref"])
        if not reference.startswith("#/"):
            raise DocumentError(f"refers to {reference}; only references inside the document are followed")
        node = document
        for part in reference[2:].split("/"):
            node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
        if node is None:
            raise DocumentError(f"refers to {reference}, which is not there")
    raise DocumentError("has references that go round in circles")


class _Schemas:
    """Writes OpenAPI's schemas as JSON Schema 2020-12 with every reference followed."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._nodes = 0

    def inlined(self, schema: Any, inside: frozenset[str] = frozenset()) -> Any:
        """Return `schema` without references; one that contains itself is left open there. Raises `DocumentError`."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise DocumentError(f"has a schema of more than {MAX_NODES} parts; exclude it")
        if isinstance(schema, list):
            return [self.inlined(item, inside) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if isinstance(reference := schema.get("$ref"), str):
            if reference in inside:
                return {}
            return self.inlined(_resolved(schema, self._document), inside | {reference})
        return _modern(
            {name: self._keyword(name, item, inside) for name, item in schema.items() if name not in _LEFT_OUT}
        )

    def _keyword(self, name: str, value: Any, inside: frozenset[str]) -> Any:
        if name in _VALUES:
            return value
        if name in _BY_NAME and isinstance(value, dict):  # its keys are no keywords
            return {key: self.inlined(item, inside) for key, item in value.items()}
        return self.inlined(value, inside)


def _modern(schema: dict[str, Any]) -> dict[str, Any]:
    """Rewrite what OpenAPI 3.0 has otherwise than JSON Schema: `nullable`, and exclusive bounds as a flag."""
    if schema.pop("nullable", False) is True:
        if isinstance(schema.get("type"), str):
            schema["type"] = [schema["type"], "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(flag := schema.get(exclusive), bool):
            del schema[exclusive]
            if flag and bound in schema:
                schema[exclusive] = schema.pop(bound)
    return schema


_YAML: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_VALUES: Final = frozenset({"const", "default", "enum", "required"})
_BY_NAME: Final = frozenset({"properties", "patternProperties"})
_LEFT_OUT: Final = frozenset({"example", "examples", "xml", "discriminator", "externalDocs", "deprecated"})
