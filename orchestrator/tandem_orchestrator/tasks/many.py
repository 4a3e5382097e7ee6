"""Does the same for many, a few at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

WAITING: Final = 4  # times as many as are under way may be done while an earlier one is not


async def each(
    count: int,
    most: int,
    make: Callable[[int], Awaitable[bytes]],
    write: Callable[[int, bytes], Awaitable[None]],
    *,
    ordered: bool,
) -> None:
    """Make `count` things, `most` of them at a time, and write each as it is done, or in their order.

    Holds no more of them than `WAITING` times `most`, however slowly they are taken. Where this is cancelled, so are
    those that are under way.
    """
    running: dict[asyncio.Task[bytes], int] = {}
    done: dict[int, bytes] = {}
    begun = written = 0
    async with asyncio.TaskGroup() as group:
        while written < count:
            while begun < count and len(running) < most and begun - written < most * WAITING:
                running[group.create_task(_awaited(make(begun)))] = begun
                begun += 1
            finished, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                done[running.pop(task)] = task.result()
            for number in _next(done, written) if ordered else list(done):
                await write(number, done.pop(number))
                written += 1


def _next(done: dict[int, bytes], first: int) -> list[int]:
    last = first
    while last in done:
        last += 1
    return list(range(first, last))


async def _awaited(making: Awaitable[bytes]) -> bytes:
    return await making
