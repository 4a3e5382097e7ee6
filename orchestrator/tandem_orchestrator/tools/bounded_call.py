"""One call of a tool, which may be anybody's code: its time is bounded, its outcome is text or an error."""

import asyncio
from functools import partial
from typing import Any, Final

import orjson
import structlog

from tandem_orchestrator.observability.metrics import TOOL_CALLS_LEFT
from tandem_orchestrator.tools.tool import Found, Tool, ToolError

GRACE_SECONDS: Final = 1.0  # in which a call that was given up has to end

Outcome = str | Found | ToolError

_given_up: set[asyncio.Task[Outcome]] = set()  # the event loop itself does not keep them
log = structlog.get_logger()


async def call_tool(tool: Tool, arguments: dict[str, Any], turn: asyncio.Semaphore, seconds: float) -> str | Found:
    """Return the tool's result, once it has its `turn`. Raises `ToolError`, and `TimeoutError` after `seconds`.

    A call that goes on after it was cancelled is left behind and keeps its turn, so that such calls do not pile up.
    """
    if not getattr(tool, "waits", True):  # a task and a timer would cost more than it
        return _unwrap(await _run(tool, arguments, turn))
    loop = asyncio.get_running_loop()
    task = loop.create_task(_run(tool, arguments, turn))
    settled = loop.create_future()  # asyncio.wait would take longer than many a calculation
    task.add_done_callback(partial(_settle, settled))
    timer = loop.call_later(seconds, _settle, settled)
    try:
        await settled
    finally:
        timer.cancel()
        if not task.done():
            _give_up(task, tool.name)
    if not task.done():
        raise TimeoutError
    return _unwrap(ToolError(f"{tool.name} failed") if task.cancelled() else task.result())  # it may cancel itself


async def all_ended() -> bool:
    """Wait `GRACE_SECONDS` for the calls that were given up; return whether all have ended."""
    if _given_up:
        await asyncio.wait(_given_up, timeout=GRACE_SECONDS)
    return not _given_up


def _unwrap(outcome: Outcome) -> str | Found:
    if isinstance(outcome, ToolError):
        raise outcome
    return outcome


def _settle(settled: asyncio.Future[None], _: object = None) -> None:
    if not settled.done():
        settled.set_result(None)


def _give_up(task: asyncio.Task[Outcome], name: str) -> None:
    task.cancel()
    _given_up.add(task)
    task.add_done_callback(_given_up.discard)
    asyncio.get_running_loop().call_later(GRACE_SECONDS, _count_until_done, task, name)


async def _run(tool: Tool, arguments: dict[str, Any], turn: asyncio.Semaphore) -> Outcome:
    """Run a call; return an error instead of raising it, as nobody may wait for the task any more."""
    try:
        async with turn:
            result = await tool.call(arguments)
            return result if isinstance(result, Found) else _text(result)
    except ToolError as error:
        return error
    except BaseException as error:  # a SystemExit would end the server
        if isinstance(error, asyncio.CancelledError) and asyncio.current_task().cancelling():  # type: ignore[union-attr]
            raise
        log.exception("tool failed", tool=tool.name)
        return ToolError(f"{tool.name} failed")


def _text(result: Any) -> str:
    """Return a tool's result as text. Raises `TypeError` or `UnicodeDecodeError` for what is none."""
    if isinstance(result, str):
        return result
    return (bytes(result) if isinstance(result, bytes | bytearray) else orjson.dumps(result)).decode()


def _count_until_done(task: asyncio.Task[Outcome], name: str) -> None:
    """Count a call that should have ended, until it does."""
    if task.done():
        return
    log.warning("a tool goes on after its call was given up", tool=name)
    left = TOOL_CALLS_LEFT.labels(name)
    left.inc()
    task.add_done_callback(lambda _: left.dec())
