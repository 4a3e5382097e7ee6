"""Names of what is stored. They begin with the time, so that new rows lie together in a database's index."""

import secrets
import time
from typing import Final

LENGTH: Final = 32  # hexadecimal digits: 12 of the time in milliseconds, 20 of chance


def new() -> str:
    """Return what no other id has."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
