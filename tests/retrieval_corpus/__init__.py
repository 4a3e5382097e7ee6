"""A small corpus, written for these tests about public facts, with questions and the passage that answers each.

`texts/` has files with a heading of the second level above each passage. A question is in other words than its passage
(`kind` is "meaning"), or hinges on a rare word, name or code (`word`).
"""

import json
import re
from collections.abc import Collection, Hashable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

FOLDER = Path(__file__).parent
TEXTS = FOLDER / "texts"


class Passage(NamedTuple):
    """A section of a file; `text` is what stands below its heading."""

    file: str
    heading: str
    text: str

    def in_chunk(self, file: str, text: str) -> bool:
        """Whether a piece of a file holds its beginning, however the file was cut."""
        return file == self.file and self.text[:30] in text


class Question(NamedTuple):
    """What is asked, and the passage that answers it."""

    text: str
    kind: Literal["meaning", "word"]
    language: str
    passage: Passage


def files() -> list[Path]:
    return sorted(TEXTS.glob("*.md"))


def passages() -> list[Passage]:
    found = []
    for file in files():
        for section in re.split(r"^## ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            heading, _, text = section.partition("\n")
            found.append(Passage(file.name, heading, text.strip()))
    return found


def questions() -> list[Question]:
    by_place = {(passage.file, passage.heading): passage for passage in passages()}
    return [
        Question(
            asked["question"], asked["kind"], asked.get("language", "en"), by_place[asked["file"], asked["heading"]]
        )
        for asked in json.loads((FOLDER / "questions.json").read_text(encoding="utf-8"))
    ]


def hit_rate(found: Sequence[Sequence[Hashable]], wanted: Sequence[Collection[Hashable]], k: int) -> float:
    """The share of questions of which one of the first `k` that were found is wanted."""
    hits = [any(item in right for item in items[:k]) for items, right in zip(found, wanted, strict=True)]
    return sum(hits) / len(hits)
