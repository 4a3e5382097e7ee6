"""How an engine gets on with its work, as orchestrators tell the operator at /ready."""

from enum import StrEnum


class Progress(StrEnum):
    """What is seen of one replica."""

    MOVES = "moves"
    STANDS = "stands"
    """Nothing moves, but not yet for so long that it is sure to hang."""
    HANGS = "hangs"
