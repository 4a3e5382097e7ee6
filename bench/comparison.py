"""The orchestrators of two checkouts, measured in turns in one run: what has become dearer, and by how much.

Every figure is one of which less is better. What `make bench` holds to a bound of its own (clients that leave, memory
that grows) is left to it.
"""

import gc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from bench import measures
from bench.load import Load, post
from bench.measures import Effort
from bench.processes import Process
from bench.report import Row, Series, at_most
from bench.targets import Checkouts
from hack import progress

LIVES: Final = 5
"""How often both are started: one process may be a few percent luckier than another of the same code."""

FULL: Final = Effort(rounds=3, seconds=2.0, fill=0, requests=0, leaving=0)
QUICK: Final = Effort(rounds=1, seconds=0.5, fill=0, requests=0, leaving=0)
BOUND: Final = 1.05
HALF: Final = "blocking, both at half of that rate: CPU a request, µs"

Found = dict[str, tuple[list[float], list[float]]]
"""What -> figures of the new one and of the old one, of the same rounds."""

Measure = Callable[[Process], Awaitable[Mapping[str, float]]]
"""Measures one orchestrator: what -> figure."""


async def compare(start: Callable[[], AbstractAsyncContextManager[Checkouts]], effort: Effort) -> list[Row]:
    """Return a row for each figure: new over old. `effort.rounds` is for each of LIVES."""
    found: Found = {}
    for number in range(LIVES):
        async with start() as servers:
            progress.say(f"measuring both, {number + 1} of {LIVES}")
            gc.freeze()
            for server in (servers.new, servers.old):
                await Load(server.address, measures.PLAIN).run(measures.CLIENTS, seconds=measures.WARM_UP_SECONDS)
            slower = min([await _rate(server, effort) for server in (servers.new, servers.old)])
            await in_turns(servers, _measures(servers.engine, effort, slower / 2), effort.rounds, found)
    return rows(found)


async def in_turns(servers: Checkouts, each: Sequence[Measure], rounds: int, found: Found) -> None:
    """Add to `found`. Both are measured in each round, and who is first changes: a busy moment harms both alike."""
    pair = (servers.new, servers.old)
    for number in range(rounds):
        for measure in each:
            for which in (1, 0) if number % 2 else (0, 1):
                for what, figure in (await measure(pair[which])).items():
                    found.setdefault(what, ([], []))[which].append(figure)


def rows(found: Found) -> list[Row]:
    """Return what has become of each figure."""
    both = {what: (Series(new), Series(old)) for what, (new, old) in found.items()}
    return [
        at_most(what, f"{new.median:.1f}, before {old.median:.1f}", new.over(old), BOUND)
        for what, (new, old) in both.items()
    ]


async def _rate(server: Process, effort: Effort) -> float:
    return (await measures.cpu_of_a_request(server, effort))[1]


def _measures(engine: Process, effort: Effort, rate: float) -> list[Measure]:
    async def blocking(server: Process) -> dict[str, float]:
        spent, per_second = await measures.cpu_of_a_request(server, effort)
        clients = f"blocking, {measures.CLIENTS} clients"
        return {f"{clients}: CPU a request, µs": spent, f"{clients}: time a request, µs": 1e6 / per_second}

    async def half(server: Process) -> dict[str, float]:
        return {HALF: (await measures.cpu_of_a_request(server, effort, rate))[0]}

    async def latency(server: Process) -> dict[str, float]:
        added = {}
        for what, request in measures.TIMES.items():
            times = [await measures.median_time(target, effort, *request) for target in (engine, server)]
            added[f"one client: added {what}, µs"] = times[1] - times[0]
        return added

    async def streams(server: Process) -> dict[str, float]:
        figure = await measures.cpu_of_a_token(server, effort.seconds)
        return {f"{measures.STREAMS} streams: CPU a token, µs": figure * 1e6}

    async def tools(server: Process) -> dict[str, float]:
        figure, _ = await measures.cpu_of_a_request(server, effort, request=post(tools=[measures.MATH_TOOL]))
        return {"a request with a server-side tool: CPU, µs": figure}

    async def memory(server: Process) -> dict[str, float]:
        return {"memory, MB": server.resident_bytes() / measures.MEGABYTE}

    return [blocking, half, latency, streams, tools, memory]
