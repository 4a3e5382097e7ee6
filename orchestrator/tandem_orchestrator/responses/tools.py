"""The tools of a response: what the model is offered, whose each one is, and which calls need a person's consent."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.engines.endpoints import CHAT, ENDPOINTS
from tandem_orchestrator.errors import BadRequest, Forbidden, ToolsAbsent
from tandem_orchestrator.gateway.output_shapes import check_schema_at
from tandem_orchestrator.gateway.request import Headers, Request
from tandem_orchestrator.gateway.tool_use import ToolUse, bind, tool_use, twice
from tandem_orchestrator.responses.create import Create
from tandem_orchestrator.responses.items import Item
from tandem_orchestrator.responses.prompt import OWN_TOOLS
from tandem_orchestrator.tools.tool import Bound, Tool
from tandem_orchestrator.tools.toolbox import Toolbox

WEB_SEARCH: Final = "web_search"
FILE_SEARCH: Final = "file_search"
FREE_TEXT: Final = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
CONSENTS: Final = ("always", "never")


@dataclass(slots=True)
class Served:
    """A tool that runs on the server; `label` and `name` are how items call it."""

    label: str
    name: str
    consent: bool = False
    """Whether a person has to allow each call."""


@dataclass(slots=True)
class ResponseTools:
    """The tools of one response."""

    use: ToolUse
    declarations: dict[str, Any] = field(default_factory=dict)
    """What a chat declares, by the names that the model knows."""
    choice: str | dict[str, Any] = "auto"
    served: dict[str, Served] = field(default_factory=dict)
    """By the name that the model knows."""
    free: set[str] = field(default_factory=set)
    """Tools of the client that take a text instead of arguments."""
    lists: list[Item] = field(default_factory=list)
    """What tells of the tools of MCP servers, without ids."""
    asked: dict[str, Bound] = field(default_factory=dict)
    """Tools that the request declares by a type of their own."""

    def take(self, toolbox: Toolbox) -> None:
        """Have those run that are served."""
        asked = [bound for name, bound in self.asked.items() if name in self.served]
        self.use = ToolUse(toolbox, frozenset(self.served), asked=asked)

    async def ready(self) -> None:
        """Make the request's own tools ready, and declare them with the others. Raises `GatewayError`."""
        if self.use.asked:
            await self.use.ready()
            self.use.declarations.clear()
            self.declarations |= {name: offered.declaration for name, offered in self.use.bound.items()}


def response_tools(create: Create, headers: Headers, principal: Principal, toolbox: Toolbox) -> ResponseTools:
    """Sort out the tools of a request. Raises `BadRequest`, `Forbidden`, `ToolsAbsent`."""
    tools = ResponseTools(ToolUse(toolbox, frozenset()), choice=create.tool_choice)
    for n, tool in enumerate(create.tools):
        add = KINDS.get(tool["type"])
        if add is None:
            raise BadRequest(
                f"tools of type {tool['type']!r} cannot be served here; what can: {', '.join(sorted(KINDS))}",
                param=f"tools.{n}.type",
            )
        add(tools, tool, f"tools.{n}", toolbox, principal)
    _add_own(tools, create, headers, principal, toolbox)
    _apply_choice(tools, create)
    return tools


def _function(tools: ResponseTools, tool: dict[str, Any], path: str, *_: Any) -> None:
    function = {
        name: tool[name] for name in ("name", "description", "parameters", "strict") if tool.get(name) is not None
    }
    if not isinstance(function.get("name"), str):
        raise BadRequest(f"`{path}.name` must be a text", param=f"{path}.name")
    check_schema_at(f"{path}.parameters", function.get("parameters"))
    tools.declarations[function["name"]] = {"type": "function", "function": function}


def _custom(tools: ResponseTools, tool: dict[str, Any], path: str, *_: Any) -> None:
    name = tool.get("name")
    if not isinstance(name, str):
        raise BadRequest(f"`{path}.name` must be a text", param=f"{path}.name")
    description = tool.get("description") or ""
    if isinstance(grammar := (tool.get("format") or {}).get("definition"), str):
        description = f"{description}\n\nThe input follows this grammar:\n{grammar}"
    tools.free.add(name)
    function = {"name": name, "description": description, "parameters": FREE_TEXT}
    tools.declarations[name] = {"type": "function", "function": function}


def _web_search(tools: ResponseTools, _: dict[str, Any], path: str, toolbox: Toolbox, principal: Principal) -> None:
    if WEB_SEARCH not in toolbox.names:
        raise BadRequest("there is no web search here; `tools.webSearch` in the configuration adds it", param=path)
    _allow(WEB_SEARCH, principal, path)
    tools.served[WEB_SEARCH] = Served(OWN_TOOLS, WEB_SEARCH)


def _file_search(tools: ResponseTools, tool: dict[str, Any], path: str, toolbox: Toolbox, principal: Principal) -> None:
    if FILE_SEARCH in tools.asked:
        raise twice(FILE_SEARCH, path)
    tools.asked[FILE_SEARCH] = bind(toolbox, tool, path, principal)
    tools.served[FILE_SEARCH] = Served(OWN_TOOLS, FILE_SEARCH)


def _mcp(tools: ResponseTools, tool: dict[str, Any], path: str, toolbox: Toolbox, principal: Principal) -> None:
    label = tool.get("server_label")
    source = toolbox.source(f"mcp {label}") if isinstance(label, str) else None
    if source is None or not isinstance(label, str):
        raise BadRequest(
            f"there is no MCP server {label!r} here; servers are named under `tools.mcp` in the configuration, and a "
            "request cannot bring others",
            param=f"{path}.server_label",
        )
    if source.problem is not None:
        raise ToolsAbsent(f"the MCP server {label!r} cannot be used now: {source.problem}", retry_after=5)
    wanted = _tool_names(tool.get("allowed_tools"), f"{path}.allowed_tools")
    consent = _consent(tool.get("require_approval"), f"{path}.require_approval")
    listed = []
    for each in source.tools:
        own = each.name.removeprefix(f"{label}_")
        if wanted is not None and own not in wanted:
            continue
        if principal.tools is not None and each.name not in principal.tools:
            continue
        tools.served[each.name] = Served(label, own, consent(own))
        listed.append(_listed(each, own))
    tools.lists.append({"kind": "mcp_list_tools", "server_label": label, "tools": listed, "error": None})


def _listed(tool: Tool, own: str) -> dict[str, Any]:
    return {"name": own, "description": tool.description, "input_schema": tool.parameters, "annotations": None}


def _allow(name: str, principal: Principal, path: str) -> None:
    if principal.tools is not None and name not in principal.tools:
        raise Forbidden(f"this key may not use the tool {name}", param=path)


def _tool_names(value: Any, path: str) -> frozenset[str] | None:
    if value is None:
        return None
    names = value.get("tool_names") if isinstance(value, dict) and value.keys() <= {"tool_names"} else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadRequest(f"`{path}` must be a list of names, or an object with `tool_names`", param=path)
    return frozenset(names)


def _consent(value: Any, path: str) -> Callable[[str], bool]:
    """Return which tools need consent; OpenAI's default is all of them."""
    if value is None or value in CONSENTS:
        return lambda _: value != "never"
    if isinstance(value, dict) and value.keys() <= set(CONSENTS):
        never = _tool_names(value.get("never"), f"{path}.never") or frozenset()
        always = _tool_names(value.get("always"), f"{path}.always")
        if always is None:
            return lambda name: name not in never
        return lambda name: name in always and name not in never
    raise BadRequest(f"`{path}` must be always, never, or an object with lists of them", param=path)


def _add_own(tools: ResponseTools, create: Create, headers: Headers, principal: Principal, toolbox: Toolbox) -> None:
    """Add the server's tools that the request declares by their names, names in `tandem`, or gets unasked."""
    asked: dict[str, Any] = {"messages": [], "tools": list(tools.declarations.values())}
    if "tandem" in create.payload:
        asked["tandem"] = create.payload["tandem"]
    if create.tool_choice == "none":
        asked["tool_choice"] = "none"
    use = tool_use(Request(ENDPOINTS[CHAT], asked, None, stream=False), headers, principal, toolbox)
    if use is None:
        use = ToolUse(toolbox, frozenset())
    for name in use.names:
        tools.served.setdefault(name, Served(OWN_TOOLS, name))
    for name in tools.served.keys() - tools.asked.keys():
        if name not in tools.declarations or name not in use.names or name in use.replaced:
            tools.declarations[name] = toolbox.declarations((name,))[0]
    tools.take(toolbox)


def _apply_choice(tools: ResponseTools, create: Create) -> None:
    """Bound the tools by `tool_choice`; what it leaves out is not offered, and not run either."""
    choice = create.tool_choice
    if isinstance(choice, str):
        return
    if choice["type"] == "allowed_tools":
        wanted = choice.get("tools")
        if not isinstance(wanted, list) or not all(isinstance(each, dict) for each in wanted):
            raise BadRequest("`tool_choice.tools` must be a list of tools", param="tool_choice.tools")
        names = frozenset[str]().union(*(_meant(tools, each) for each in wanted))
        tools.choice = "required" if choice.get("mode") == "required" else "auto"
    else:
        names = _meant(tools, choice)
        tools.choice = "required"
        if len(names) == 1:
            tools.choice = {"type": "function", "function": {"name": next(iter(names))}}
    if not names:
        raise BadRequest("`tool_choice` names no tool of this request", param="tool_choice")
    tools.declarations = {name: tool for name, tool in tools.declarations.items() if name in names}
    tools.served = {name: served for name, served in tools.served.items() if name in names}
    tools.take(tools.use.toolbox)


def _meant(tools: ResponseTools, choice: dict[str, Any]) -> frozenset[str]:
    kind, name = choice.get("type"), choice.get("name")
    if kind == "mcp":
        label = choice.get("server_label")
        return frozenset(
            known for known, served in tools.served.items() if served.label == label and name in (None, served.name)
        )
    if isinstance(kind, str) and kind.startswith(WEB_SEARCH):
        return frozenset({WEB_SEARCH} & tools.served.keys())
    if kind == FILE_SEARCH:
        return frozenset({FILE_SEARCH} & tools.served.keys())
    return frozenset({name} & tools.declarations.keys()) if isinstance(name, str) else frozenset()


Add = Callable[[ResponseTools, dict[str, Any], str, Toolbox, Principal], None]

KINDS: Final[dict[str, Add]] = {
    "function": _function,
    "custom": _custom,
    "mcp": _mcp,
    "file_search": _file_search,
    "web_search": _web_search,
    "web_search_2025_08_26": _web_search,
    "web_search_preview": _web_search,
    "web_search_preview_2025_03_11": _web_search,
}
