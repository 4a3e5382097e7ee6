"""Cuts what readers find into pieces that a model can take. Decides; does no I/O.

A piece is filled with blocks as long as they fit. One that does not fit begins the next piece; only where it is too
large for any piece, or would leave one nearly empty, it is cut: at blank lines, else at the ends of sentences, else at
lines, else between words, and within a word that is longer than any.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final, NamedTuple

from tandem_orchestrator.retrieval.chunk import Chunk
from tandem_orchestrator.retrieval.parsing.block import Block
from tandem_orchestrator.retrieval.parsing.tokens import tokens_in, tokens_of

CUTS: Final = (
    re.compile(r"\n(?:[^\S\n]*\n)+"),
    re.compile(r"""(?<=[.!?])\s+|(?<=[.!?]["')\]])\s+|(?<=[。！？])\s*"""),  # noqa: RUF001
    re.compile(r"\n+"),
)
"""Where text may be cut, the best first."""
SENTENCE_ENDS: Final = (".", "!", "?", "。", "！", "？")  # noqa: RUF001
NEARLY_EMPTY: Final = 4  # a piece that is filled to less than this part of it
LONG_WORD: Final = 32  # characters; a longer one may be cut
NO_TEXT: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")  # what databases refuse, and noise
LONG_BLANK: Final = re.compile(r"[^\S\n]{33,}|\n{4,}")
BEGINNING: Final = re.compile(r"\s*\n| (?! )")


class Chunker(NamedTuple):
    """How documents are cut."""

    max_tokens: int
    """At least 3, which one character may have."""
    overlap: int
    """Tokens that a piece repeats of the one before it, at most half of `max_tokens`."""
    structure: bool
    """Whether to heed sections, pages, paragraphs and sentences; else all pieces are of the same size."""

    def chunks(self, blocks: Iterable[Block]) -> Iterator[Chunk]:
        """Yield the pieces of a document. Each word of it is in one of them at least, and they are in its order."""
        filling = _Filling(self)
        for block in blocks:
            text = clean(block.text).rstrip()
            if not text:
                continue
            if self.structure and (block.page, block.heading) != (filling.page, filling.heading):
                yield from filling.end()
            filling.page, filling.heading = block.page, block.heading
            put = filling.put if self.structure else filling.put_words
            yield from put(block.gap + text if filling.begun else text)
        yield from filling.end()


class _Part(NamedTuple):
    text: str
    tokens: int
    page: int | None
    heading: str


class _Filling:
    """A piece on its way."""

    def __init__(self, chunker: Chunker) -> None:
        self.page: int | None = None
        self.heading = ""
        self._chunker = chunker
        self._words = re.compile(rf"\s*\S{{1,{max(1, min(LONG_WORD, chunker.max_tokens // 3))}}}")
        self._parts: list[_Part] = []
        self._tokens = 0
        self._new = 0  # parts that no piece has yet

    @property
    def begun(self) -> bool:
        """Whether anything is in it."""
        return bool(self._parts)

    def put(self, text: str, level: int = 0) -> Iterator[Chunk]:
        """Add text, cut as `CUTS` has it from `level` on where it must be; yield the pieces that it fills."""
        if text.isspace():
            return
        most = self._chunker.max_tokens
        tokens = tokens_in(text)
        if self._tokens + tokens <= most:
            self._add(text, tokens)
        elif tokens <= most and not (self._new and self._tokens * NEARLY_EMPTY < most):
            yield from self._flush(most - tokens)
            self._add(text, tokens)
        elif level == len(CUTS):
            yield from self.put_words(text)
        else:
            for part in parts_of(text, CUTS[level]):
                yield from self.put(part, level + 1)

    def put_words(self, text: str) -> Iterator[Chunk]:
        """Add text word by word; yield the pieces that it fills."""
        most = self._chunker.max_tokens
        words = self._words.findall(text)
        until = [0, *accumulate(tokens_of(words))]  # tokens before each word, and before the end
        first = 0
        while first < len(words):
            last = bisect_right(until, until[first] + most - self._tokens, first) - 1
            if last > first:
                self._add("".join(words[first:last]), until[last] - until[first])
                first = last
                continue
            tokens = until[first + 1] - until[first]
            yield from self._flush(most - tokens)
            if tokens > most:  # for the blanks before it
                words[first] = words[first].lstrip()
                self._add(words[first], tokens_in(words[first]))
                first += 1

    def end(self) -> Iterator[Chunk]:
        """Yield what is left; what follows begins anew."""
        if self._new:
            yield self._chunk()
        self._parts, self._tokens, self._new = [], 0, 0

    def _add(self, text: str, tokens: int) -> None:
        self._parts.append(_Part(text, tokens, self.page, self.heading))
        self._tokens += tokens
        self._new += 1

    def _flush(self, room: int) -> Iterator[Chunk]:
        """Yield the piece; begin the next one with what it repeats, `room` tokens at most."""
        if self._new:
            yield self._chunk()
        self._parts = self._repeated(min(self._chunker.overlap, self._chunker.max_tokens // 2, room))
        self._tokens = sum(part.tokens for part in self._parts)
        self._new = 0

    def _chunk(self) -> Chunk:
        text = "".join(part.text for part in self._parts)
        if begins := BEGINNING.match(text):
            text = text[begins.end() :]
        return Chunk(text, self._parts[0].page, self._parts[0].heading, tokens_in(text))

    def _repeated(self, room: int) -> list[_Part]:
        """Return the end of the piece, `room` tokens at most."""
        first = len(self._parts)
        while first and self._parts[first - 1].tokens <= room:
            first -= 1
            room -= self._parts[first].tokens
        whole = self._parts[first:]
        if first == 0 or room <= 0:
            return whole
        words, start = self._end_of(self._parts[first - 1], room)
        if self._chunker.structure:  # a line or a sentence, if there is one
            start = next(
                (n for n in range(max(1, start), len(words)) if begins(words, n)), len(words) if whole else start
            )
        return words[start:] + whole

    def _end_of(self, part: _Part, room: int) -> tuple[list[_Part], int]:
        """Return the words of a part, and the index from which on they have room."""
        texts = self._words.findall(part.text)
        words = [_Part(word, tokens, *part[2:]) for word, tokens in zip(texts, tokens_of(texts), strict=True)]
        first = len(words)
        while first and words[first - 1].tokens <= room:
            first -= 1
            room -= words[first].tokens
        return words, first


def begins(parts: list[_Part], n: int) -> bool:
    """Tell whether a line or a sentence begins at a part."""
    return "\n" in parts[n].text or parts[n - 1].text.endswith(SENTENCE_ENDS)


def clean(text: str) -> str:
    """Return a text without what is none, and without wide blanks."""
    return LONG_BLANK.sub(lambda blank: blank[0][:3] if blank[0][0] == "\n" else " ", NO_TEXT.sub(" ", text))


def parts_of(text: str, cut: re.Pattern[str]) -> Iterator[str]:
    """Yield the parts of a text, each with the blanks before it."""
    start = 0
    for found in cut.finditer(text):
        if found.start() > start:
            yield text[start : found.start()]
            start = found.start()
    yield text[start:]
