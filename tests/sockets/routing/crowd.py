"""Clients that ask again and again, whole and streamed, while a test changes what serves them."""

import asyncio
from contextlib import asynccontextmanager

from tests.sockets.running import until

CLIENTS = 8


class Crowd:
    """What came of their requests so far."""

    def __init__(self):
        self.statuses: list[int] = []

    async def answers(self, count):
        """Wait until so many more requests have ended."""
        before = len(self.statuses)
        await until(lambda: len(self.statuses) >= before + count)


@asynccontextmanager
async def asking(orchestrator):
    """A Crowd; each of its requests has to be answered as it should be, and is counted in a line at the end."""
    crowd, ended = Crowd(), asyncio.Event()

    async def client(number):
        while not ended.is_set():
            if number % 2:
                crowd.statuses.append((await orchestrator.chat())[0])
            else:
                assert (await orchestrator.stream()).endswith("data: [DONE]\n\n")
                crowd.statuses.append(200)

    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(client(number))
        yield crowd
        ended.set()
    failed = sum(status != 200 for status in crowd.statuses)
    print(f"{len(crowd.statuses)} requests, {failed} failed")  # noqa: T201
    assert failed == 0
