"""A request's tools and its choice among them, as a chat declares them."""

import re
from typing import Any, Final

import orjson

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.errors import Forbidden
from tandem_orchestrator.gateway.output_shapes import check_schema_at
from tandem_orchestrator.messages.fields import (
    Document,
    document,
    documents,
    flag,
    invalid,
    one_of,
    optional_text,
    text,
)
from tandem_orchestrator.tools.toolbox import Toolbox

NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
CUSTOM: Final = (None, "custom")
CHOICES: Final = {"auto": "auto", "any": "required", "none": "none", "tool": None}
BOUNDS: Final = ("allowed_domains", "blocked_domains")
"""Of Anthropic's searches: what the service's own cannot be held to."""


def declared(payload: Document, toolbox: Toolbox, principal: Principal) -> list[Document]:
    """Return the tools of a request. Raises `BadRequest`, `Forbidden`."""
    if payload.get("tools") is None:
        return []
    names: set[str] = set()
    tools = []
    for n, tool in enumerate(documents(payload["tools"], "tools")):
        path = f"tools.{n}"
        kind = tool.get("type")
        if kind in CUSTOM:
            found = _custom(tool, f"{path}.")
        elif isinstance(kind, str) and kind in toolbox.bindings:
            found = tool
        else:
            found = _servers(tool, path, toolbox, principal)
        name = _name_of(found)
        if name in names:
            raise invalid(f"{path}.name", f"there are two tools {name!r}")
        names.add(name)
        tools.append(found)
    return tools


def _custom(tool: Document, path: str) -> Document:
    function: Document = {"name": _name(tool, path)}
    if (description := optional_text(tool, "description", path)) is not None:
        function["description"] = description
    schema = document(tool.get("input_schema"), f"{path}input_schema")
    if schema.get("type") != "object":
        raise invalid(f"{path}input_schema.type", "must be object")
    check_schema_at(f"{path}input_schema", schema)
    function["parameters"] = schema
    if flag(tool, "strict", path):
        function["strict"] = True
    return {"type": "function", "function": function}


def _servers(tool: Document, path: str, toolbox: Toolbox, principal: Principal) -> Document:
    """Return the service's tool of that name, for one that Anthropic's API would have."""
    name = _name(tool, f"{path}.")
    if name not in toolbox.names:
        raise invalid(
            f"{path}.type",
            f"{tool['type']!r} is a tool of Anthropic's own service, and this one has no tool {name!r}; declare yours "
            "with an `input_schema`, or have one configured under `tools`",
        )
    if principal.tools is not None and name not in principal.tools:
        raise Forbidden(f"{path}: this key may not use the tool {name}", param=path)
    for bound in BOUNDS:
        if tool.get(bound):
            raise invalid(f"{path}.{bound}", f"the tool {name} here cannot be bounded so")
    found: Document = orjson.loads(orjson.dumps(toolbox.declarations((name,))[0]))
    return found


def _name(tool: Document, path: str) -> str:
    name = text(tool, "name", path)
    if NAME.fullmatch(name) is None:
        raise invalid(f"{path}name", "must be of 1 to 128 letters, digits, _ and -")
    return name


def _name_of(tool: Document) -> str:
    """Return how a model calls a tool of a chat; one that is bound to what the request says of it is of its type."""
    name: str = tool["function"]["name"] if tool["type"] == "function" else tool["type"]
    return name


def choice(payload: Document, tools: list[Document]) -> Document:
    """Return the fields of a chat that say which of its tools are to be called. Raises `BadRequest`."""
    if payload.get("tool_choice") is None:
        return {}
    wanted = document(payload["tool_choice"], "tool_choice")
    kind = one_of(wanted, "type", "tool_choice.", tuple(CHOICES))
    if kind is None:
        raise invalid("tool_choice.type", f"must be one of {', '.join(CHOICES)}")
    if not tools:
        raise invalid("tool_choice", "needs `tools` to choose from")
    fields: dict[str, Any] = {}
    if kind == "tool":
        name = text(wanted, "name", "tool_choice.")
        if all(name != _name_of(tool) for tool in tools):
            raise invalid("tool_choice.name", f"there is no tool {name!r} in `tools`")
        fields["tool_choice"] = {"type": "function", "function": {"name": name}}
    elif kind != "auto":
        fields["tool_choice"] = CHOICES[kind]
    if flag(wanted, "disable_parallel_tool_use", "tool_choice."):
        fields["parallel_tool_calls"] = False
    return fields
