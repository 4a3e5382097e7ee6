r"""Regular expressions that take time in proportion to a text, whatever the text: they may be held against strangers'.

The engine is RE2, whose syntax Go, Prometheus and Kubernetes' CEL have, too: no backtracking, hence no look-around and
no references to groups. Its \w, \d, \s and \b know ASCII only; \pL and \pN are letters and digits of any language.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import re2

_MEMORY: Final = 8
_BEGIN: Final = r"(?:^|[^\pL\pN\pM_])"
_END: Final = r"(?:[^\pL\pN\pM_]|$)"


class TextPattern:
    """A regular expression, compiled."""

    __slots__ = ("_groups", "_pattern")

    def __init__(self, pattern: str, *, grouped: bool = False, memory: int = _MEMORY) -> None:
        """Compile it. Where it is `grouped`, only the group that takes part in a match counts; the rest is context.

        Raises `ValueError` for one that is wrong, or needs more than `memory`, in MiB: that holds its program and what
        is remembered of texts. What needs nearly all of it is slow.
        """
        options = re2.Options()
        options.log_errors = False
        options.never_capture = not grouped
        options.max_mem = memory << 20
        try:
            self._pattern = re2.compile(pattern, options)
        except re2.error as error:
            raise ValueError(f"is no regular expression in RE2's syntax: {_said(error)}") from None
        self._groups = range(1, self._pattern.groups + 1)

    def matches(self, text: str) -> bool:
        """Return whether the text has it anywhere."""
        return self._pattern.search(encoded(text)) is not None

    def spans(self, data: bytes, at: int = 0) -> Iterator[tuple[int, int]]:
        """Yield where `data`, in UTF-8, has it, from front to back and without overlaps: bytes, as slices have them.

        What is before `at` is context for what begins there or later.
        """
        while at <= len(data) and (found := self._pattern.search(data, at)) is not None:
            start, end = self._span(found)
            if end > start:
                yield start, end
            at = max(end, at + 1)

    def span_at(self, data: bytes, begin: int) -> tuple[int, int] | None:
        """Return the span of the match that begins at a byte, if there is one."""
        found = self._pattern.match(data, begin)
        return None if found is None else self._span(found)

    def _span(self, found: Any) -> tuple[int, int]:
        start, end = found.span(next((group for group in self._groups if found.start(group) >= 0), 0))
        return start, end


def _said(error: Exception) -> str:
    said = error.args[0]
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def encoded(text: str) -> bytes:
    """Return the text as patterns read it: in UTF-8, a `?` for half of a surrogate pair."""
    return text.encode(errors="replace")


def any_word(words: Iterable[str]) -> str:
    """Return the pattern of texts that have one of these words or phrases, in upper or lower case.

    A word does not count inside of another one where it begins and ends with what words are made of.
    """
    by_edges: dict[tuple[str, str], list[str]] = {}
    for word in words:
        parts = word.split()
        edges = _BEGIN if _in_words(parts[0][0]) else "", _END if _in_words(parts[-1][-1]) else ""
        by_edges.setdefault(edges, []).append(r"[\s\pZ]+".join(map(re2.escape, parts)))
    return "(?i)" + "|".join(f"{begin}({'|'.join(each)}){end}" for (begin, end), each in by_edges.items())


def _in_words(character: str) -> bool:
    """Tell whether words go on beside it; scripts without spaces (Chinese, Japanese) do not tell."""
    return character.isalnum() and not "\u2e80" <= character <= "\u9fff"
