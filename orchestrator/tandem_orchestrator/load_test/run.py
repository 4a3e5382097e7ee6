"""Keeps a service under load for a while."""

import asyncio
import random
from collections.abc import Callable
from time import perf_counter
from typing import Final

from tandem_orchestrator.load_test.client import Client
from tandem_orchestrator.load_test.result import Figures, Result
from tandem_orchestrator.load_test.settings import Kind, Settings

MAX_IN_FLIGHT: Final = 10_000
PROGRESS_SECONDS: Final = 2.0


class Run:
    """One load test; `results` grows while it lasts."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._kinds = random.Random(0)  # noqa: S311 # the same order in each run, so that runs compare
        self.results: list[Result] = []
        self.in_flight = 0

    async def figures(self, tell: Callable[[str], None]) -> Figures:
        """Run the test. `tell` gets a line of progress every two seconds."""
        begun = perf_counter()
        telling = asyncio.create_task(self._tell(begun, tell))
        try:
            if self._settings.rate is None:
                await self._closed_loop(begun)
            else:
                await self._open_loop(begun, self._settings.rate)
        finally:
            telling.cancel()
        return Figures(self.results, perf_counter() - begun)

    async def _closed_loop(self, begun: float) -> None:
        async def client() -> None:
            while (now := perf_counter()) < begun + self._settings.seconds:
                await self._send(now)

        async with asyncio.TaskGroup() as group:
            for _ in range(self._settings.concurrency):
                group.create_task(client())

    async def _open_loop(self, begun: float, rate: float) -> None:
        """Start requests when they should start, and time them from then: a slow answer delays none of the next."""
        async with asyncio.TaskGroup() as group:
            for number in range(round(self._settings.seconds * rate)):
                intended = begun + number / rate
                if (early := intended - perf_counter()) > 0:
                    await asyncio.sleep(early)
                if self.in_flight < MAX_IN_FLIGHT:
                    group.create_task(self._send(intended))
                else:
                    self.results.append(Result(self._kind(), error=f"not sent: {MAX_IN_FLIGHT} requests were open"))

    async def _send(self, intended: float) -> None:
        self.in_flight += 1
        try:
            self.results.append(await self._client.send(self._kind(), intended))
        finally:
            self.in_flight -= 1

    def _kind(self) -> Kind:
        mix = self._settings.mix
        return self._kinds.choices(list(mix), list(mix.values()))[0]

    async def _tell(self, begun: float, tell: Callable[[str], None]) -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            seconds = perf_counter() - begun
            figures = Figures(self.results, seconds)
            tell(
                f"{seconds:5.0f} s: {figures.requests} done, {self.in_flight} open, "
                f"{sum(figures.errors.values())} errors, P95 {figures.latency.get('p95', 0):.3f} s"
            )
