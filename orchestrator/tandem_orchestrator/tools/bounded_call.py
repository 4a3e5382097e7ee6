"""One call of a tool, which may be anybody's code: its time holds, and what it does becomes text or an error."""

import asyncio
from functools import partial
from typing import Any, Final

import orjson
import structlog

from tandem_orchestrator.observability.metrics import TOOL_CALLS_LEFT
from tandem_orchestrator.tools.tool import Tool, ToolError

GRACE_SECONDS: Final = 1.0  # in which a call that was given up has to end

_given_up: set[asyncio.Task[str | ToolError]] = set()  # the event loop itself does not keep them
log = structlog.get_logger()


async def attempt(tool: Tool, arguments: dict[str, Any], turn: asyncio.Semaphore, seconds: float) -> str:
    """Return what the tool says, once it has its `turn`. Raises `ToolError`, and `TimeoutError` after `seconds`.

    A call that goes on when it was cancelled is left behind. It keeps its turn, so that there are not more and more.
    """
    if not getattr(tool, "waits", True):  # a task and a timer would cost more than it
        return _answer(await _said(tool, arguments, turn))
    loop = asyncio.get_running_loop()
    task = loop.create_task(_said(tool, arguments, turn))
    over = loop.create_future()  # asyncio.wait would take longer than many a calculation
    task.add_done_callback(partial(_finish, over))
    timer = loop.call_later(seconds, _finish, over)
    try:
        await over
    finally:
        timer.cancel()
        if not task.done():
            _give_up(task, tool.name)
    if not task.done():
        raise TimeoutError
    return _answer(ToolError(f"{tool.name} failed") if task.cancelled() else task.result())  # it may cancel itself


async def ended() -> bool:
    """Return whether all calls that were given up end, for which they have the grace time."""
    if _given_up:
        await asyncio.wait(_given_up, timeout=GRACE_SECONDS)
    return not _given_up


def _answer(said: str | ToolError) -> str:
    if isinstance(said, ToolError):
        raise said
    return said


def _finish(over: asyncio.Future[None], _: object = None) -> None:
    if not over.done():
        over.set_result(None)


def _give_up(task: asyncio.Task[str | ToolError], name: str) -> None:
    task.cancel()
    _given_up.add(task)
    task.add_done_callback(_given_up.discard)
    asyncio.get_running_loop().call_later(GRACE_SECONDS, _notice, task, name)


async def _said(tool: Tool, arguments: dict[str, Any], turn: asyncio.Semaphore) -> str | ToolError:
    """Return the outcome of a call, an error as a value: nobody may be there any more to whom it could be raised."""
    try:
        async with turn:
            return _text(await tool.call(arguments))
    except ToolError as error:
        return error
    except BaseException as error:  # a SystemExit would end the server
        if isinstance(error, asyncio.CancelledError) and asyncio.current_task().cancelling():  # type: ignore[union-attr]
            raise
        log.exception("tool failed", tool=tool.name)
        return ToolError(f"{tool.name} failed")


def _text(result: Any) -> str:
    """Return a tool's result as the model reads it. Raises `TypeError` or `UnicodeDecodeError` for what is no text at
    all.
    """
    if isinstance(result, str):
        return result
    return (bytes(result) if isinstance(result, bytes | bytearray) else orjson.dumps(result)).decode()


def _notice(task: asyncio.Task[str | ToolError], name: str) -> None:
    """Count a call that should have ended, until it does."""
    if task.done():
        return
    log.warning("a tool goes on after its call was given up", tool=name)
    left = TOOL_CALLS_LEFT.labels(name)
    left.inc()
    task.add_done_callback(lambda _: left.dec())
