"""When what was used must reach the other replicas at once, and not in its turn.

A key that uses a lot between two exchanges gets as much again of each replica. So an exchange is due as soon as what
the others have not heard of is a tenth of what is left: few more as a whole, and most of them where a limit is near.
"""

import asyncio
from contextlib import suppress

PARTS = 10
"""What the others have not heard of is at most one of so many parts of what is left."""
LEAST_PAUSE = 0.02
"""Seconds between two exchanges, however much is used."""


async def pause(seconds: float, unless: asyncio.Event) -> None:
    """Wait `seconds`, shorter as soon as the event comes."""
    least = min(LEAST_PAUSE, seconds)
    await asyncio.sleep(least)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds - least):
            await unless.wait()
    unless.clear()
