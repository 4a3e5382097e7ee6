"""Units of memory."""

from typing import Final

GIB: Final = 2**30


def gib(count: float) -> str:
    """Return bytes as GiB with two decimals, such as `14.96 GiB`."""
    return f"{count / GIB:.2f} GiB"
