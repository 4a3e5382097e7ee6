"""Runs tools for a model: checked arguments, bounded time and size, and an outcome in any case."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import orjson
import structlog

from tandem_orchestrator.observability.metrics import TOOL_CALLS
from tandem_orchestrator.tools.tool import Tool, ToolError

SUCCESS, ERROR, TIMEOUT, INVALID = "success", "error", "timeout", "invalid_arguments"
CUT_MARK = " … (cut: the result was longer)"
SHOWN_ARGUMENTS = 200  # characters of broken arguments that an error repeats

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


class InvalidArguments(Exception):  # noqa: N818
    """The arguments are no JSON object or do not fit the tool's schema."""


class Toolbox:
    """The tools that are enabled here, by name."""

    def __init__(self, tools: Sequence[Tool], timeout_seconds: float, max_result_bytes: int) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._names = frozenset(self._tools)
        self._validators = {tool.name: jsonschema_rs.validator_for(tool.parameters) for tool in tools}
        self._timeout = timeout_seconds
        self._max_bytes = max_result_bytes

    @property
    def names(self) -> frozenset[str]:
        """Names of the tools here."""
        return self._names

    async def run_all(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        """Runs `calls` at the same time; the results are in their order."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.run(call)) for call in calls]
        return [task.result() for task in tasks]

    async def run(self, call: ToolCall) -> ToolResult:
        """Runs one call. Whatever goes wrong becomes a result that tells the model."""
        try:
            arguments = self._arguments(call)
            async with asyncio.timeout(self._timeout):
                status, content = SUCCESS, await self._tools[call.name].call(arguments)
        except InvalidArguments as error:
            status, content = INVALID, _error(str(error))
        except ToolError as error:
            status, content = ERROR, _error(str(error))
        except TimeoutError:
            status, content = TIMEOUT, _error(f"{call.name} gave no result within {self._timeout:g} s")
        except Exception:  # a tool's defect must not end the conversation
            log.exception("tool failed", tool=call.name)
            status, content = ERROR, _error(f"{call.name} failed")
        TOOL_CALLS.labels(call.name if call.name in self._tools else "unknown", status).inc()
        return ToolResult(call, status, self._bounded(content))

    def _arguments(self, call: ToolCall) -> dict[str, Any]:
        if call.name not in self._tools:
            raise InvalidArguments(f"there is no tool {call.name!r}; call only the tools that are offered")
        try:
            arguments = orjson.loads(call.arguments or "{}")
        except orjson.JSONDecodeError as error:
            raise InvalidArguments(
                f"the arguments are not JSON ({error}): {call.arguments[:SHOWN_ARGUMENTS]}"
            ) from None
        problems = [_problem(error) for error in self._validators[call.name].iter_errors(arguments)]
        if problems:
            raise InvalidArguments(f"the arguments do not fit {call.name}: {'; '.join(problems)}")
        checked: dict[str, Any] = arguments
        return checked

    def _bounded(self, content: str) -> str:
        raw = content.encode()
        if len(raw) <= self._max_bytes:
            return content
        return raw[: self._max_bytes].decode(errors="ignore") + CUT_MARK


def _problem(error: jsonschema_rs.ValidationError) -> str:
    path = ".".join(str(part) for part in error.instance_path)
    return f"{path}: {error.message}" if path else error.message


def _error(message: str) -> str:
    return orjson.dumps({"error": message}).decode()
