"""Checks one replica again and again."""

import asyncio
from contextlib import suppress
from time import monotonic
from typing import Final

import structlog

from tandem_orchestrator.engines.replica import Replica
from tandem_orchestrator.errors import EngineError, Refused, TimedOut

CHECK_SECONDS: Final = 5.0
CHECK_SECONDS_DOWN: Final = 0.5
CHECK_TIMEOUT: Final = 5.0
LEAST_PAUSE: Final = 0.1  # between two checks, however much a replica is doubted
LOAD_SECONDS: Final = 1.0
LOAD_SECONDS_WITHOUT: Final = 30.0  # for a server that tells no load

log = structlog.get_logger()


async def probe(replica: Replica) -> None:
    """Keep what is known about `replica` fresh; run until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_keep_checking(replica))
        if replica.type.load_path is not None:
            group.create_task(_keep_counting(replica, replica.type.load_path, group))


async def _keep_checking(replica: Replica) -> None:
    while True:
        check = replica.begin_check()
        before = replica.problem
        try:
            await _check(replica)
        finally:
            check.set()
        replica.checked.set()
        if replica.problem != before:
            level = log.info if replica.ready else log.warning
            level(
                "replica",
                upstream=replica.upstream,
                replica=replica.pool.address,
                ready=replica.ready,
                problem=replica.problem,
            )
        await _pause(CHECK_SECONDS if replica.ready else CHECK_SECONDS_DOWN, replica.doubted)


async def _check(replica: Replica) -> None:
    began = monotonic()
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            if replica.type.health_path is not None:
                await replica.check_health(replica.type.health_path)
            replica.mark_up(await replica.list_models())
    except (TimeoutError, TimedOut):
        if replica.answered_at < began:  # else it is busy, not gone
            replica.mark_down(TimedOut(f"no answer to a check within {CHECK_TIMEOUT:g} s", phase="check"))
    except EngineError as error:
        replica.mark_down(error)
    except Exception as error:  # checks go on, whatever an engine answers
        log.exception("engine check failed", upstream=replica.upstream)
        replica.mark_down(EngineError(f"the check failed: {type(error).__name__}"))


async def _keep_counting(replica: Replica, path: str, group: asyncio.TaskGroup) -> None:
    while True:
        replica.outdated.clear()
        hung = replica.stall.hangs
        told = await _count(replica, path)
        if replica.stall.in_doubt:
            group.create_task(_have_it_make_something(replica))
        if replica.stall.hangs != hung:
            level = log.info if hung else log.warning
            level(
                "replica",
                upstream=replica.upstream,
                replica=replica.pool.address,
                hung=replica.stall.hangs,
                problem=replica.problem,
            )
        await _pause(LOAD_SECONDS if told else LOAD_SECONDS_WITHOUT, replica.outdated)


async def _count(replica: Replica, path: str) -> bool:
    """Ask how many requests wait, and how far it is; false where the server does not tell such a thing."""
    if not (replica.ready or replica.stall.hangs):
        return True
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            told = await replica.count_waiting(path)
    except Refused:
        told = False
    except (TimeoutError, EngineError):
        replica.missed_count()
        return True
    except Exception:  # as above
        log.exception("engine's load cannot be read", upstream=replica.upstream)
        told = False
    if not told:
        replica.tells_no_count()
    return told


async def _have_it_make_something(replica: Replica) -> None:
    with suppress(EngineError):  # what comes of it is noted, and whether it is down is for its checks to tell
        await replica.make_least()


async def _pause(seconds: float, unless: asyncio.Event) -> None:
    """Wait `seconds`, shorter as soon as the event comes, but never so short that it becomes a storm."""
    await asyncio.sleep(LEAST_PAUSE)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await unless.wait()
