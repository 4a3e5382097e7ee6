"""How far a reader has to go to follow one request, or one resource: files entered, calls, moves between files.

    .venv/bin/python -m bench.reach

Counted with sys.setprofile in the packages of this project, as plain Python, once everything is warm.
"""

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

import structlog
import yaml
from tandem_operator.api.component import SERVICE_MONITOR_API
from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests import Platform, build

from tests.engine_double import EngineDouble
from tests.sockets.running import Orchestrator, config_for

ROOT: Final = Path(__file__).parent.parent
PACKAGES: Final = tuple(f"{ROOT}/{package}/tandem_{package}/" for package in ("contract", "operator", "orchestrator"))
WARM_UP: Final = 5
TRIES: Final = 5
KEY: Final = "sk-reach-0123456789abcdef"
MANY: Final = 1_000_000


@dataclass
class Reach:
    """Calls by file, below the packages, and how often a call was into another file than the one before."""

    calls: Counter[str] = field(default_factory=Counter)
    moves: int = 0
    _last: str = ""

    def enter(self, file: str) -> None:
        self.calls[file] += 1
        self.moves += file != self._last
        self._last = file

    def __str__(self) -> str:
        return f"{len(self.calls)} files, {self.calls.total()} calls, {self.moves} moves between files"


@contextmanager
def counted() -> Iterator[Reach]:
    """Count what this thread enters."""
    reach = Reach()

    def enter(frame: FrameType, event: str, _: object) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(PACKAGES):
            reach.enter(file.removeprefix(f"{ROOT}/").split("/", 1)[1])

    sys.setprofile(enter)
    try:
        yield reach
    finally:
        sys.setprofile(None)


async def least(ask: Callable[[], Awaitable[Any]]) -> Reach:
    """Count the way of one request: the shortest seen, since checks of engines go on beside it."""
    for _ in range(WARM_UP):
        await ask()
    ways = []
    for _ in range(TRIES):
        with counted() as reach:
            await ask()
            await asyncio.sleep(0)  # what is left to do behind the answer
        ways.append(reach)
    return min(ways, key=lambda way: way.calls.total())


async def chats(folder: str) -> dict[str, Reach]:
    """Count a blocking and a streamed chat, with a key, every limit, usage, metrics and logs."""
    each = ("requestsPerMinute", "tokensPerMinute", "concurrentRequests", "tokensPerDay", "tokensPerMonth")
    database = {"url": f"sqlite:///{folder}/tandem.db"}
    limits = {"requestsPerMinute": MANY, "tenantRequestsPerMinute": MANY, "defaults": dict.fromkeys(each, MANY)}
    async with EngineDouble() as engine:
        orchestrator = Orchestrator(
            config_for(engine, keys={"values": [f"reach:{KEY}"]}, rateLimits=limits, database=database)
        )
        await orchestrator.start()
        orchestrator.client.headers["authorization"] = f"Bearer {KEY}"
        try:
            return {
                "a blocking chat": await least(orchestrator.chat),
                "a streamed chat": await least(orchestrator.stream),
            }
        finally:
            await orchestrator.stop()


def service() -> Reach:
    """Count how an LLMService is read, built and checked."""
    document = yaml.safe_load((ROOT / "manifests" / "samples" / "minimal.yaml").read_text())
    platform = Platform(frozenset({SERVICE_MONITOR_API}))
    with counted() as reach:
        build(LLMService.model_validate(document), platform)
    return reach


def ways(folder: str) -> dict[str, Reach]:
    """Count all; the orchestrator keeps its database in `folder`."""
    return {**asyncio.run(chats(folder)), "an LLMService, read, built and checked": service()}


def main() -> None:
    structlog.configure(processors=[lambda *_: ""], logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory(prefix="tandem-reach-") as folder:
        found = ways(folder)
    for what, reach in found.items():
        print(f"{what}: {reach}")
        for file, calls in sorted(reach.calls.items()):
            print(f"{calls:5} {file}")


if __name__ == "__main__":
    main()
