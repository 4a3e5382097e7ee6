"""When peers must hear at once, and not in their turn, of what was used.

A key that uses a lot before they hear of it gets as much again of each. So they are told as soon as what they have not
heard of is a tenth of what is left: seldom oftener on the whole, and mostly where a limit is near.
"""

import asyncio
from contextlib import suppress
from typing import Final

PARTS: Final = 10
"""What peers have not heard of is at most one of so many parts of what is left."""
LEAST_PAUSE: Final = 0.02
"""Seconds between two messages, however much is used."""


async def pause(seconds: float, unless: asyncio.Event) -> None:
    """Wait `seconds`, shorter as soon as the event comes."""
    least = min(LEAST_PAUSE, seconds)
    await asyncio.sleep(least)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds - least):
            await unless.wait()
    unless.clear()
