"""Keeps the headings that a place in a document stands under."""

from typing import Final

from tandem_orchestrator.retrieval.parsing.block import PARAGRAPH, Block

BETWEEN: Final = " > "
LONGEST: Final = 200  # characters of a heading that go along with each piece; its text stands whole in the first one
MOST_LEVELS: Final = 9


class Headings:
    """The headings so far. One that nothing stands under directly goes with what comes after it."""

    def __init__(self) -> None:
        self._levels: list[tuple[int, str]] = []
        self._waiting: list[str] = []

    def begin(self, level: int, shown: str, title: str | None = None) -> None:
        """Take a heading, 1 the highest; `shown` is how it stands in the text."""
        while self._levels and self._levels[-1][0] >= level:
            self._levels.pop()
        self._levels = self._levels[: MOST_LEVELS - 1]
        self._levels.append((level, " ".join((title or shown).split())[:LONGEST]))
        self._waiting.append(shown)

    def block(self, text: str, gap: str = PARAGRAPH, page: int | None = None) -> Block:
        """Return text under the headings."""
        if self._waiting:
            text = PARAGRAPH.join([*self._waiting, text]).rstrip()
            self._waiting, gap = [], PARAGRAPH
        return Block(text, page, BETWEEN.join(title for _, title in self._levels if title), gap)
