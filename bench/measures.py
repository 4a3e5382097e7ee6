"""The measurements. Each takes turns between the targets, round after round, so that noise hits all of them alike."""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from bench.load import Address, Connection, Failed, Load, Outcome, ask, get, post, rerank
from bench.processes import Process
from bench.report import Row, Series, at_least, at_most
from bench.targets import Targets

CLIENTS: Final = 32
STREAMS: Final = 200
STREAM_END: Final = b"[DONE]"
TOKEN_SECONDS: Final = 0.025  # 200 streams then get 8,000 tokens a second
WAITING_SECONDS: Final = 60.0
LEAVING_AT_ONCE: Final = 50
WARM_UP_SECONDS: Final = 3.0
MEGABYTE: Final = 1_000_000
# 12 to 17 % above what was measured; why they differ is said in the results
MOST_AT_SAME_RATE: Final = 3.5
MOST_AT_HALF_RATE: Final = 4.0
MOST_AT_NGINX_RATE: Final = 7.0
MATH_TOOL: Final = {
    "type": "function",
    "function": {
        "name": "calculate_math",
        "parameters": {"type": "object", "properties": {"expression": {"type": "string"}}},
    },
}
PLAIN: Final = post()
RERANK: Final = rerank()
SHORT_SCRIPT: Final = {"pieces": 2, "between_pieces": TOKEN_SECONDS / 20}
SHORT_STREAM: Final = post(stream=True, double=SHORT_SCRIPT)
LONG_SCRIPT: Final = {"pieces": 100_000, "between_pieces": TOKEN_SECONDS}
LONG_STREAM: Final = post(stream=True, double=LONG_SCRIPT)

Times = Callable[[Outcome], list[float]]
TIMES: Final[dict[str, tuple[bytes, bytes, Times]]] = {
    "latency (p50)": (PLAIN, b"64 bytes", lambda outcome: outcome.latencies),
    "time to first token (p50)": (SHORT_STREAM, STREAM_END, lambda outcome: outcome.first_bytes),
}
"""What one client waits for: request, what is in each answer, and the times in seconds."""


@dataclass(frozen=True)
class Effort:
    """How long to measure. `fill` requests fill caches and pools before memory is looked at."""

    rounds: int
    seconds: float
    fill: int
    requests: int
    leaving: int


FULL: Final = Effort(rounds=7, seconds=2.0, fill=20_000, requests=200_000, leaving=10_000)
QUICK: Final = Effort(rounds=2, seconds=1.0, fill=4_000, requests=20_000, leaving=1_000)


async def warm_up(targets: Targets, effort: Effort) -> None:
    """Let every server do what it does only once: the orchestrator makes its database at the first tokens."""
    for server in (targets.tandem, targets.nginx, targets.naive):
        await Load(server.address, post()).run(CLIENTS, seconds=effort.seconds)
    await asyncio.sleep(WARM_UP_SECONDS)


async def blocking(targets: Targets, effort: Effort) -> list[Row]:
    """Measure CPU and throughput with 32 clients that never pause; and CPU where nginx has no more to do.

    nginx takes less CPU for a request the more come, and such clients make it do several times what Tandem can. So it
    is measured at Tandem's rate, too, and both at half of that.
    """
    nginx, tandem, naive = servers = [targets.nginx, targets.tandem, targets.naive]
    cpu: dict[Process, list[float]] = {server: [] for server in servers}
    rps: dict[Process, list[float]] = {server: [] for server in servers}
    same: list[float] = []
    half: dict[Process, list[float]] = {nginx: [], tandem: []}
    for _ in range(effort.rounds):
        for server in servers:
            spent, per_second = await cpu_of_a_request(server, effort)
            cpu[server].append(spent)
            rps[server].append(per_second)
        same.append((await cpu_of_a_request(nginx, effort, rps[tandem][-1]))[0])
        for server, found in half.items():
            found.append((await cpu_of_a_request(server, effort, rps[tandem][-1] / 2))[0])
    fast = Series(rps[tandem])
    return [
        _over_nginx(
            f"{CLIENTS} clients, nginx at the rate that the orchestrator can serve",
            Series(cpu[tandem]),
            Series(same),
            MOST_AT_SAME_RATE,
        ),
        _over_nginx("both at half of that rate", Series(half[tandem]), Series(half[nginx]), MOST_AT_HALF_RATE),
        _over_nginx(
            f"{CLIENTS} clients, nginx at the {Series(rps[nginx]).median:.0f}/s that it can serve itself",
            Series(cpu[tandem]),
            Series(cpu[nginx]),
            MOST_AT_NGINX_RATE,
        ),
        at_least(
            "blocking: throughput, over the naive proxy's",
            f"{fast.median:.0f}/s, naive {Series(rps[naive]).median:.0f}/s",
            fast.over(Series(rps[naive])),
            20,
        ),
    ]


async def cpu_of_a_request(
    server: Process, effort: Effort, rate: float | None = None, request: bytes = PLAIN
) -> tuple[float, float]:
    """Return µs of CPU a request, and the requests a second at which they were measured."""
    load = Load(server.address, request).run(CLIENTS, seconds=effort.seconds, rate=rate)
    outcome, seconds = await with_cpu(server, load)
    return seconds / outcome.requests * 1e6, outcome.per_second


def _over_nginx(how: str, tandem: Series, nginx: Series, bound: float) -> Row:
    figures = f"{tandem.median:.0f} µs, nginx {nginx.median:.0f} µs"
    return at_most(f"blocking: CPU a request, over nginx's; {how}", figures, tandem.over(nginx), bound)


async def latency(targets: Targets, effort: Effort) -> list[Row]:
    """Return what each proxy adds to the time of one client's request, and to the first token of its stream."""
    return [_added(what, await _medians(targets, effort, *request)) for what, request in TIMES.items()]


async def _medians(targets: Targets, effort: Effort, request: bytes, expect: bytes, times: Times) -> list[Series]:
    """Return median times in µs, straight from the engine, through nginx, and through the orchestrator."""
    servers = [targets.engine, targets.nginx, targets.tandem]
    found: list[list[float]] = [[] for _ in servers]
    for _ in range(effort.rounds):
        for server, medians in zip(servers, found, strict=True):
            medians.append(await median_time(server, effort, request, expect, times))
    return [Series(medians) for medians in found]


async def median_time(server: Process, effort: Effort, request: bytes, expect: bytes, times: Times) -> float:
    """Return how many µs one client waits."""
    outcome = await Load(server.address, request, expect).run(1, seconds=effort.seconds / 2)
    return statistics.median(times(outcome)) * 1e6


def _added(what: str, medians: list[Series]) -> Row:
    direct, nginx, tandem = medians
    nginx, tandem = nginx.minus(direct), tandem.minus(direct)
    figures = f"{tandem.median:.0f} µs, nginx {nginx.median:.0f} µs"
    return at_most(f"one client: added {what}, over nginx's", figures, tandem.over(nginx), 3)


async def streams(targets: Targets, effort: Effort) -> list[Row]:
    """Measure CPU a streamed token while 200 streams are open, each with a token every 25 ms."""
    servers = [targets.nginx, targets.tandem]
    found: dict[Process, list[float]] = {server: [] for server in servers}
    for _ in range(effort.rounds):
        for server in servers:
            found[server].append(await cpu_of_a_token(server, effort.seconds) * 1e6)
    nginx, tandem = (Series(found[server]) for server in servers)
    figures = f"{tandem.median:.1f} µs, nginx {nginx.median:.1f} µs"
    return [at_most(f"{STREAMS} streams: CPU a token, over nginx's", figures, tandem.over(nginx), 2)]


async def cpu_of_a_token(server: Process, seconds: float, request: bytes = LONG_STREAM) -> float:
    opened = [await Connection.open(server.address, _ended_early) for _ in range(STREAMS)]
    try:
        for connection in opened:
            connection.send(request)
        await _until(lambda: all(connection.tokens > 2 for connection in opened), "all streams have begun")
        before = sum(connection.tokens for connection in opened)
        _, cpu = await with_cpu(server, asyncio.sleep(seconds))
        return cpu / (sum(connection.tokens for connection in opened) - before)
    finally:
        for connection in opened:
            connection.close()


async def tools(targets: Targets, effort: Effort) -> list[Row]:
    """Measure CPU of a request with a server-side tool, over a plain one's. The tool's own work is in it."""
    plain: list[float] = []
    with_tool: list[float] = []
    request = post(tools=[MATH_TOOL])
    for _ in range(effort.rounds):
        for body, found in ((PLAIN, plain), (request, with_tool)):
            found.append((await cpu_of_a_request(targets.tandem, effort, request=body))[0])
    one, other = Series(with_tool), Series(plain)
    figures = f"{one.median:.0f} µs, plain {other.median:.0f} µs"
    return [at_most("a request with a server-side tool: CPU, over a plain one's", figures, one.over(other), 5)]


async def endpoints(targets: Targets, effort: Effort) -> list[Row]:
    """Measure CPU of a request that goes on to a reranker, over a chat's."""
    found: dict[bytes, list[float]] = {PLAIN: [], RERANK: []}
    for _ in range(effort.rounds):
        for request, spent in found.items():
            spent.append((await cpu_of_a_request(targets.tandem, effort, request=request))[0])
    chat, passed = Series(found[PLAIN]), Series(found[RERANK])
    figures = f"{passed.median:.0f} µs, chat {chat.median:.0f} µs"
    return [at_most("a pass-through endpoint as chat: CPU a request, over a chat's", figures, passed.over(chat), 1.1)]


async def abandoned(targets: Targets, effort: Effort) -> list[Row]:
    """Return how long the engine goes on with a request whose client has left."""
    rows = []
    for kind, stream in (("blocking", False), ("streamed", True)):
        slowest = 0.0
        for _ in range(effort.rounds * 5):
            slowest = max(slowest, await _seconds_to_notice(targets, stream=stream))
        rows.append(
            Row(
                f"an abandoned request, {kind}: the engine sees its end within",
                f"{slowest * 1000:.0f} ms (slowest of {effort.rounds * 5})",
                bound="at most 1 s",
                passed=slowest <= 1,
            )
        )
    return rows


async def _seconds_to_notice(targets: Targets, *, stream: bool) -> float:
    connection = await Connection.open(targets.tandem.address, _ended_early)
    script = {"between_pieces": WAITING_SECONDS} if stream else {"before_first_byte": WAITING_SECONDS}
    before = await _state(targets)
    connection.send(post(stream=stream, double=script))
    await _until_state(targets, lambda state: state["open"] > before["open"], "the engine has the request")
    left = time.monotonic()
    connection.close()
    after = await _until_state(
        targets, lambda state: state["left"] > before["left"], "the engine sees the client leave"
    )
    return float(after["last_left"]) - left


async def endurance(targets: Targets, effort: Effort) -> list[Row]:
    """Measure memory, pool slots and engine connections after many requests and many clients that left."""
    load = Load(targets.tandem.address, post())
    await load.run(CLIENTS, count=effort.fill)
    await _leave(targets.tandem.address, effort.leaving // 10)
    before = targets.tandem.resident_bytes()
    await load.run(CLIENTS, count=effort.requests)
    await _leave(targets.tandem.address, effort.leaving)
    await _until_state(targets, lambda state: state["open"] == 0, "the engine has no request left", seconds=5)
    grown = (targets.tandem.resident_bytes() - before) / MEGABYTE
    health = orjson.loads(await ask(targets.tandem.address, get("/health")))
    busy = sum(engine["in_flight"] for engine in health["upstreams"])
    connections = (await _state(targets))["connections"]
    most = CLIENTS + LEAVING_AT_ONCE + STREAMS
    done = f"after {effort.requests} requests and {effort.leaving} clients that left"
    return [
        Row(f"memory {done}", f"{before / MEGABYTE:.0f} MB {grown:+.1f} MB", bound="within 10 MB", passed=grown <= 10),
        Row(f"pool slots in use {done}", str(busy), bound="0", passed=busy == 0),
        Row(f"connections to the engine {done}", str(connections), bound=f"at most {most}", passed=connections <= most),
    ]


async def _leave(address: Address, count: int) -> None:
    """Measure clients that go away before, while and after the engine answers; half of them read a stream."""
    moments = random.Random(count)

    async def client(number: int) -> None:
        stream = bool(number % 2)
        script = {"between_pieces": 0.005, "pieces": 1000} if stream else {"before_first_byte": 5}
        connection = await Connection.open(address, lambda _, __: None)
        connection.send(post(stream=stream, double=script))
        await asyncio.sleep(moments.uniform(0, 0.02))
        connection.close()

    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await client(number)

    await asyncio.gather(*(worker() for _ in range(LEAVING_AT_ONCE)))


async def with_cpu(server: Process, work: Awaitable[Any]) -> tuple[Any, float]:
    """Return the result of `work`, and the CPU seconds that `server` spent on it."""
    before = server.cpu_seconds()
    result = await work
    return result, server.cpu_seconds() - before


def _ended_early(connection: Connection, body: bytes) -> None:
    raise Failed(f"an answer ended early: {connection.failure or body.decode(errors='replace')}")


async def _state(targets: Targets) -> dict[str, Any]:
    state: dict[str, Any] = orjson.loads(await ask(targets.engine.address, get("/state")))
    return state


async def _until_state(
    targets: Targets, condition: Callable[[dict[str, Any]], bool], what: str, seconds: float = 10
) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while not condition(state := await _state(targets)):
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds:g} s: {what} ({state})")
        await asyncio.sleep(0.01)
    return state


async def _until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(0.01)
