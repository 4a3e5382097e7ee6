"""Runs tools for a model: checked arguments, bounded time and size, and an outcome in any case."""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

import orjson
import structlog
from tandem_contract import json_schema
from tandem_contract.config import Tools as ToolSettings

from tandem_orchestrator.config.secrets import unreadable_secrets
from tandem_orchestrator.observability.metrics import TOOL_CALLS
from tandem_orchestrator.observability.prometheus import Labelled
from tandem_orchestrator.tools import declaration
from tandem_orchestrator.tools.bounded_call import call_tool
from tandem_orchestrator.tools.passage import CUT_MARK, Passage, within
from tandem_orchestrator.tools.source import FollowedSource, ToolSource
from tandem_orchestrator.tools.tool import Binding, Found, Tool, ToolError

SUCCESS: Final = "success"
ERROR: Final = "error"
TIMEOUT: Final = "timeout"
INVALID: Final = "invalid_arguments"
REFUSED: Final = "refused"
UNKNOWN: Final = "unknown"
SHOWN_ARGUMENTS: Final = 200  # characters of broken arguments that an error repeats
NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")

NONE_BOUND: Final[Mapping[str, "Offered"]] = {}

_calls = Labelled(TOOL_CALLS)
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool; `arguments` is JSON as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What became of a call; `content` is for the model, `status` for metrics."""

    call: ToolCall
    status: str
    content: str
    seconds: float = 0.0
    passages: Sequence[Passage] | None = None
    """What a search found, in the place of `content`."""


class InvalidArguments(Exception):
    """The arguments are no JSON object or do not fit the tool's schema."""


class InvalidTool(Exception):
    """A tool that cannot be offered; the message says why."""


class Offered:
    """A tool that is ready to be called. Raises `InvalidTool`."""

    __slots__ = ("declaration", "tool", "turn", "validator")

    def __init__(self, tool: Tool, turn: asyncio.Semaphore) -> None:
        if not isinstance(tool.name, str) or not NAME.fullmatch(tool.name):
            raise InvalidTool(f"{tool.name!r} is no name of a tool; it may have 64 letters, digits, _ and -")
        if not isinstance(tool.parameters, dict) or tool.parameters.get("type") != "object":
            raise InvalidTool(f'the parameters of {tool.name} must be a JSON schema with "type": "object"')
        try:
            self.validator = json_schema.validator(tool.parameters)
        except json_schema.InvalidSchema as error:
            raise InvalidTool(f"the parameters of {tool.name} are no JSON schema: {error}") from None
        self.declaration = _declared(tool)
        self.tool = tool
        self.turn = turn

    def of(self, tool: Tool) -> "Offered":
        """Return another tool with the same arguments, which takes turns with this one."""
        offered = copy(self)
        offered.tool, offered.declaration = tool, _declared(tool)
        return offered


class Toolbox:
    """The tools that are there at the moment, by name: those of this process, and those of sources outside."""

    def __init__(self, tools: Sequence[Tool], settings: ToolSettings, sources: Sequence[ToolSource] = ()) -> None:
        """`tools` as for `add`."""
        self.attach = settings.attach
        self.names: frozenset[str] = frozenset()
        """Names of the tools that are there."""
        self._settings = settings
        self._own: dict[str, Offered] = {}
        self._by_name: Mapping[str, Offered] = self._own
        self.bindings: dict[str, Binding] = {}
        """Tools that requests declare by these types."""
        self._bound: dict[str, Offered] = {}
        self._known: set[str] = set()
        self._conflicts: list[str] = []
        self._followed = [FollowedSource(source, self._collect) for source in sources]
        self.add(tools)

    def add(self, tools: Sequence[Tool]) -> None:
        """Add tools of this process. Raises `InvalidTool`, also when a name is taken."""
        for tool in tools:
            self._own[tool.name] = self._offered(tool, self._own)
        self._collect()

    def declarations(self, names: Collection[str]) -> list[orjson.Fragment]:
        """Return the tools of these names as a request declares them."""
        return [offered.declaration for name, offered in self._by_name.items() if name in names]

    def fits(self, name: str, parameters: Any) -> bool:
        """Return whether a request that declares `name` with these parameters means our tool of that name."""
        return declaration.fits(parameters, self._by_name[name].tool.parameters)

    def offered(self, tool: Tool) -> Offered:
        """Return a tool of a single request, ready to be called; those of a name have the same arguments."""
        first = self._bound.get(tool.name)
        if first is None:
            turn = asyncio.Semaphore(self._settings.max_concurrent)
            first = self._bound[tool.name] = Offered(tool, turn)
            self._known.add(tool.name)
        return first.of(tool)

    def source(self, name: str) -> FollowedSource | None:
        """Return what a source offers, such as `mcp files`; None where there is no such source."""
        return next((followed for followed in self._followed if followed.name == name), None)

    def degraded(self) -> list[str]:
        """Return one line for each thing that keeps tools away."""
        absent = [f"tools of {source.name}: {source.problem}" for source in self._followed if source.problem]
        return absent + self._conflicts + unreadable_secrets(self._settings, "tools")

    async def watch(self) -> None:
        """Follow what provides tools; run until cancelled."""
        async with asyncio.TaskGroup() as group:
            for followed in self._followed:
                group.create_task(followed.watch())
            await asyncio.Event().wait()

    async def close(self) -> None:
        """Close the tools of this process, after `watch` has ended."""
        for offered in self._own.values():
            if (close := getattr(offered.tool, "close", None)) is not None:
                await close()

    async def run(
        self, call: ToolCall, among: Collection[str], seconds: float, bound: Mapping[str, Offered] = NONE_BOUND
    ) -> ToolResult:
        """Run one call of a tool that is `among` the offered ones, for at most `seconds`; `bound` are the request's.

        Whatever goes wrong becomes a result that tells the model.
        """
        started = perf_counter()
        limit = min(self._settings.timeout_seconds, seconds)
        offered = bound.get(call.name) or self._by_name.get(call.name)
        passages: Sequence[Passage] | None = None
        try:
            arguments = self._arguments(call, offered, among)
            turn = offered.turn  # type: ignore[union-attr] # or _arguments had raised
            result = await call_tool(offered.tool, arguments, turn, limit)  # type: ignore[union-attr]
            status, content = SUCCESS, result if isinstance(result, str) else ""
            if isinstance(result, Found):
                passages = within(result.passages, self._settings.max_result_bytes)
        except InvalidArguments as error:
            status, content = INVALID, _error(str(error))
        except ToolError as error:
            status, content = ERROR, _error(str(error))
        except TimeoutError:
            status, content = TIMEOUT, _error(f"{call.name} gave no result within {limit:g} s")
        _calls[self.label(call), status].inc()
        return ToolResult(call, status, self._bounded(content), perf_counter() - started, passages)

    def refused(self, call: ToolCall, why: str) -> ToolResult:
        """Return the result of a call that is not run; the model is told why."""
        _calls[self.label(call), REFUSED].inc()
        return ToolResult(call, REFUSED, _error(why))

    def label(self, call: ToolCall) -> str:
        """Return the tool's name for logs and metrics: `unknown` for one that the model made up."""
        return call.name if call.name in self._known else UNKNOWN

    def _arguments(self, call: ToolCall, offered: Offered | None, among: Collection[str]) -> dict[str, Any]:
        if call.name not in among:
            raise InvalidArguments(f"there is no tool {call.name!r}; call only the tools that are offered")
        if offered is None:
            raise ToolError(f"{call.name} is not there at the moment")
        try:
            arguments = orjson.loads(call.arguments or "{}")
        except orjson.JSONDecodeError as error:
            raise InvalidArguments(
                f"the arguments are not JSON ({error}): {call.arguments[:SHOWN_ARGUMENTS]}"
            ) from None
        if not offered.validator.is_valid(arguments):
            problems = [json_schema.problem(error) for error in offered.validator.iter_errors(arguments)]
            raise InvalidArguments(f"the arguments do not fit {call.name}: {'; '.join(problems)}")
        checked: dict[str, Any] = arguments
        return checked

    def _bounded(self, content: str) -> str:
        limit = self._settings.max_result_bytes
        raw = content.encode(errors="replace")  # half a surrogate pair cannot be sent on
        return raw.decode() if len(raw) <= limit else raw[:limit].decode(errors="ignore") + CUT_MARK

    def _collect(self) -> None:
        """Collect the tools that are there; the first of a name wins."""
        found, conflicts = dict(self._own), []
        for followed in self._followed:
            for tool in followed.tools:
                try:
                    found[tool.name] = self._offered(tool, found)
                except InvalidTool as error:
                    conflicts.append(f"tools of {followed.name}: {error}")
        for line in set(conflicts) - set(self._conflicts):
            log.warning("a tool is left out", problem=line)
        self._by_name, self._conflicts, self.names = found, conflicts, frozenset(found)
        self._known |= self.names

    def _offered(self, tool: Tool, taken: Collection[str]) -> Offered:
        if tool.name in taken:
            raise InvalidTool(f"another tool is called {tool.name}")
        before = self._by_name.get(tool.name)
        if before is not None and before.tool is tool:
            return before
        return Offered(tool, before.turn if before else asyncio.Semaphore(self._settings.max_concurrent))


def _declared(tool: Tool) -> orjson.Fragment:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return orjson.Fragment(orjson.dumps({"type": "function", "function": function}))


def _error(message: str) -> str:
    return orjson.dumps({"error": message.encode(errors="replace").decode()}).decode()
