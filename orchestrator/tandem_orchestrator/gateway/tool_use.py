"""Which server-side tools take part in a request."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from tandem_contract.config import Attach

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.errors import BadRequest, Forbidden
from tandem_orchestrator.gateway.request import Request
from tandem_orchestrator.tools.tool import Bound
from tandem_orchestrator.tools.toolbox import Offered, Toolbox

FIELD: Final = "tandem"
HEADER: Final = b"x-tandem-tools"
OFF: Final = b"off"


@dataclass(slots=True)
class ToolUse:
    """The server's tools in one request: what runs here, and what the client hears of it."""

    toolbox: Toolbox
    names: frozenset[str]
    """Tools that run here; calls of others are refused, also of tools that the toolbox has."""
    declarations: list[orjson.Fragment] = field(default_factory=list)
    """Those of them that the request does not declare itself."""
    events: bool = False
    """Whether a stream tells of them in events rather than in comments."""
    replaced: frozenset[str] = frozenset()
    """Those of them that the request declares as something else, in whose place the server's declaration stands."""
    asked: Sequence[Bound] = ()
    """Tools that the request declares by a type of their own,"""
    bound: dict[str, Offered] = field(default_factory=dict)
    """and the same once they are ready, by name."""

    async def ready(self) -> None:
        """Make the request's own tools ready, before an engine is asked. Raises `GatewayError`."""
        for each in self.asked:
            offered = self.toolbox.offered(await each.ready())
            self.bound[offered.tool.name] = offered
            self.declarations.append(offered.declaration)


def tool_use(
    request: Request, headers: list[tuple[bytes, bytes]], principal: Principal, toolbox: Toolbox
) -> ToolUse | None:
    """Return the tools of a chat request, None where it goes to the engine as it is; takes out what engines do not
    know.

    Tools that the client declares under the name of one here run here, if it is that one that the client means; unless
    the server's tools are attached anyway, another of the same name is the client's. Raises `BadRequest`, `Forbidden`.
    """
    asked = _asked(request.payload, principal, toolbox)
    use = named_tools(request, headers, principal, toolbox)
    if not asked:
        return use
    use = use or ToolUse(toolbox, frozenset())
    use.asked = list(asked.values())
    use.names |= frozenset(asked)
    use.replaced |= frozenset(asked)
    return use


def bind(toolbox: Toolbox, declared: dict[str, Any], path: str, principal: Principal) -> Bound:
    """Return a tool that a request declares by a type of its own. Raises `BadRequest`, `Forbidden`."""
    name = declared["type"]
    if principal.tools is not None and name not in principal.tools:
        raise Forbidden(f"this key may not use the tool {name}", param=path)
    return toolbox.bindings[name].bound(declared, path, principal)


def twice(name: str, path: str) -> BadRequest:
    """Return the error for a second tool of such a type."""
    return BadRequest(f"a request can have one tool of type {name!r}, and this is the second", param=path)


def _asked(payload: dict[str, Any], principal: Principal, toolbox: Toolbox) -> dict[str, Bound]:
    """Take out of a request what it declares by types that engines do not know; return what it may call of that."""
    found: dict[str, Bound] = {}
    kept = []
    for n, tool in enumerate(payload.get("tools") or ()):
        kind = tool.get("type") if isinstance(tool, dict) else None
        if not isinstance(kind, str) or kind not in toolbox.bindings:
            kept.append(tool)
            continue
        if kind in found:
            raise twice(kind, f"tools.{n}")
        found[kind] = bind(toolbox, tool, f"tools.{n}", principal)
    return _leave(payload, kept, found) if found else found


def _leave(payload: dict[str, Any], tools: list[Any], found: dict[str, Bound]) -> dict[str, Bound]:
    """Leave in a request what is the engine's to know."""
    payload["tools"] = tools
    choice = payload.get("tool_choice")
    if isinstance(choice, dict) and (kind := choice.get("type")) in found:
        payload["tool_choice"] = {"type": "function", "function": {"name": kind}}
    if not tools:
        del payload["tools"]
        if choice == "none":
            del payload["tool_choice"]
    return {} if choice == "none" else found


def named_tools(
    request: Request, headers: list[tuple[bytes, bytes]], principal: Principal, toolbox: Toolbox
) -> ToolUse | None:
    """Return what `tool_use` does for a request without tools that it declares by a type of their own."""
    payload = request.payload
    wish: bool | list[str] | None = None
    events = False
    if FIELD in payload:
        wish, events = _wishes(payload.pop(FIELD))
    always = wish is True or (wish is None and toolbox.attach is Attach.ALWAYS)
    if not (always or wish or (wish is None and payload.get("tools"))):
        return None
    if payload.get("tool_choice") == "none" or _switched_off(headers):
        return None
    allowed = toolbox.names if principal.tools is None else toolbox.names & principal.tools
    declared, meant = _declared(request.payload.get("tools") or (), toolbox)
    if isinstance(wish, list):
        names = _chosen(wish, toolbox.names, allowed)
    elif wish or (always and payload.get("n") in (None, 1)):  # whoever asks for two answers has not asked for tools
        names = allowed
    else:
        names = allowed & meant
    if not names:
        return None
    return ToolUse(toolbox, names, toolbox.declarations(names - meant), events, (names & declared) - meant)


def function_of(tool: Any) -> dict[str, Any] | None:
    """Return the function that an entry of `tools` declares, with its name; None for what is the engine's to judge."""
    function = tool.get("function") if isinstance(tool, dict) else None
    return function if isinstance(function, dict) and isinstance(function.get("name"), str) else None


def _declared(tools: Iterable[Any], toolbox: Toolbox) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the server's tools that a request declares, and those of them that it means."""
    found = {}
    for tool in tools:
        if (function := function_of(tool)) is not None and function["name"] in toolbox.names:
            found[function["name"]] = function.get("parameters")
    return frozenset(found), frozenset(name for name, parameters in found.items() if toolbox.fits(name, parameters))


def _wishes(value: Any) -> tuple[bool | list[str] | None, bool]:
    """Return what `{"tools": …, "events": …}` says: false for no tools, true for all, a list for those."""
    if not isinstance(value, dict) or (unknown := value.keys() - {"tools", "events"}):
        found = f"; it knows no {', '.join(sorted(unknown))}" if isinstance(value, dict) else ""
        raise BadRequest(f"`{FIELD}` must be an object with `tools` and `events`{found}", param=FIELD)
    tools, events = value.get("tools"), value.get("events", False)
    if not (tools is None or isinstance(tools, bool) or _are_names(tools)):
        raise BadRequest(f"`{FIELD}.tools` must be true, false or a list of names", param=f"{FIELD}.tools")
    if not isinstance(events, bool):
        raise BadRequest(f"`{FIELD}.events` must be true or false", param=f"{FIELD}.events")
    return tools, events


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _switched_off(headers: list[tuple[bytes, bytes]]) -> bool:
    for name, value in headers:
        if name == HEADER:
            if value.strip().lower() != OFF:
                raise BadRequest(f"the header {HEADER.decode()} can only be {OFF.decode()}")
            return True
    return False


def _chosen(wanted: list[str], there: frozenset[str], allowed: frozenset[str]) -> frozenset[str]:
    names = frozenset(wanted)
    if denied := (names & there) - allowed:
        raise Forbidden(f"this key may not use the tool {', '.join(sorted(denied))}", param=f"{FIELD}.tools")
    if unknown := names - there:
        offered = ", ".join(sorted(allowed)) or "none"
        raise BadRequest(
            f"there is no tool {', '.join(sorted(unknown))} here; there are: {offered}", param=f"{FIELD}.tools"
        )
    return names
