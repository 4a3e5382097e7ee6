"""Reads Markdown: paragraphs under headings; what is in a fence stays together and is no heading."""

import re
from collections.abc import Iterator
from typing import IO, Final

from tandem_orchestrator.retrieval.parsing.block import LARGEST, LINE, PARAGRAPH, Block
from tandem_orchestrator.retrieval.parsing.decoding import lines_of, text_of
from tandem_orchestrator.retrieval.parsing.readers.headings import Headings

HEADING: Final = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(\S.*?))?(?:[ \t]+#+)?[ \t]*\n?\Z")
UNDERLINE: Final = re.compile(r" {0,3}(=+|-+)[ \t]*\n?\Z")
FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
LONGEST_HEADING: Final = 1000  # characters; a longer line is text


def read(file: IO[bytes], pages: int) -> Iterator[Block]:  # noqa: ARG001 # it has none
    """Yield paragraphs and fences."""
    return _Reading().blocks(lines_of(text_of(file)))


class _Reading:
    def __init__(self) -> None:
        self._headings = Headings()
        self._lines: list[str] = []
        self._size = 0
        self._gap = PARAGRAPH
        self._fence = ""

    def blocks(self, lines: Iterator[str]) -> Iterator[Block]:
        for line in lines:
            if self._size + len(line) > LARGEST:
                yield from self._end(LINE if self._lines and self._lines[-1].endswith("\n") else "")
            if self._fence or (fence := FENCE.match(line)) is None:
                yield from self._take(line)
            else:
                yield from self._end()
                self._fence = fence[1]
                self._add(line)
        yield from self._end(last=True)

    def _take(self, line: str) -> Iterator[Block]:
        stripped = line.strip()
        if self._fence:
            self._add(line)
            if stripped.startswith(self._fence) and not stripped.strip(self._fence[0]):
                self._fence = ""
                yield from self._end()
        elif not stripped:
            yield from self._end()
        elif len(line) <= LONGEST_HEADING and (heading := HEADING.match(line)):
            yield from self._end()
            self._headings.begin(len(heading[1]), line.strip(), heading[2] or "")
        elif len(self._lines) == 1 and self._size <= LONGEST_HEADING and (under := UNDERLINE.match(line)):
            title = self._lines.pop().strip()
            self._size = 0
            self._headings.begin(1 if under[1][0] == "=" else 2, f"{title}\n{stripped}", title)
        else:
            self._add(line)

    def _add(self, line: str) -> None:
        self._lines.append(line)
        self._size += len(line)

    def _end(self, gap: str = PARAGRAPH, *, last: bool = False) -> Iterator[Block]:
        text = "".join(self._lines)
        if text.strip() or last:
            yield self._headings.block(text.rstrip() if gap else text, self._gap)
        self._lines, self._size, self._gap = [], 0, gap
