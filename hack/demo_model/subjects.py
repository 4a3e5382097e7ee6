"""What support tickets are about, with the ways to say it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

PHRASEBOOK: Final = Path(__file__).with_name("phrasebook")
CATEGORIES: Final = ("billing", "technical", "account", "product", "other")
PRIORITIES: Final = ("low", "medium", "high", "urgent")


@dataclass(frozen=True)
class Subject:
    """What a ticket may be about, and what an analysis says of it; `said` has ways to say it."""

    category: str
    priority: str
    summary: str
    issues: tuple[str, ...]
    human: bool
    said: tuple[str, ...]


def _read(category: str) -> tuple[Subject, ...]:
    entries = yaml.safe_load((PHRASEBOOK / f"{category}.yaml").read_text())
    return tuple(
        Subject(
            category,
            entry["priority"],
            entry["summary"],
            tuple(entry["issues"]),
            entry["human"],
            tuple(entry["said"].splitlines()),
        )
        for entry in entries
    )


SUBJECTS: Final = {category: _read(category) for category in CATEGORIES}
