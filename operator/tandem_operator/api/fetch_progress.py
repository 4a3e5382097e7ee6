"""How far a Job that fetches a model is, as its pod says at `/progress`."""

from dataclasses import dataclass
from typing import Final

PORT: Final = 8080


@dataclass(frozen=True)
class FetchProgress:
    """Bytes that are there, and how many come each second."""

    state: str
    done: int
    total: int
    rate: int
    message: str = ""
