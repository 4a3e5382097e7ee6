"""Words, phrases and patterns of the configuration's own."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tandem_contract.config import Topic
from tandem_contract.text_pattern import TextPattern, any_word

from tandem_orchestrator.guardrails.found import Span, merged
from tandem_orchestrator.guardrails.looked_at import LookedAt, unfinished
from tandem_orchestrator.guardrails.opening import opening, parted
from tandem_orchestrator.guardrails.scan import Found, together

_BESIDE: Final = 1
"""Characters before a word by which it is known to begin."""
_BETWEEN: Final = 8
"""White space that a phrase may have between two of its words, for those who look at pieces of a text."""


class WordFinder:
    """Finds some words, and whatever has a pattern: in what a reader sees, patterns also in the text as it is."""

    def __init__(self, words: Sequence[str], patterns: Sequence[str]) -> None:
        said = any_word(words) if words else None
        self._words: Final = TextPattern(said, grouped=True) if said else None
        self._patterns: Final = tuple(map(TextPattern, patterns))
        self._opening: Final = opening([*([said] if said else ()), *patterns])
        self._longest = None if patterns else _longest(words)

    @property
    def longest(self) -> int | None:
        """Characters of the longest word; of a pattern nobody can tell."""
        return self._longest

    def find(self, text: str, begin: int = 0) -> Sequence[Span]:
        """Return what is in `text`."""
        found = (looked.spans(together(each)) for looked, each in self._found(text, begin))
        first = next(found)
        return merged([*first, *others]) if (others := [span for spans in found for span in spans]) else first

    def open(self, text: str, begin: int = 0) -> int:
        """See `Telling`."""
        if self._opening is None:
            return begin
        known = text[: max(begin, unfinished(text))]
        at, taken = len(known), list[tuple[int, int]]()
        for looked, found in self._found(known, begin):
            at = min(at, looked.place(self._opening.first(looked.data, looked.begin)))
            taken += _taken(looked, found, begin)
        return parted(taken, at)

    def _found(self, text: str, begin: int) -> Iterator[tuple[LookedAt, Iterable[Iterable[Found]]]]:
        """Yield what there is to look at, and what each has found in that."""
        looked = LookedAt(text, begin=begin)
        yield looked, [*self._of_words(looked), *self._of_patterns(looked)]
        if looked.folded != text and self._patterns:
            itself = LookedAt(text, str, begin)
            yield itself, [*self._of_patterns(itself)]

    def _of_words(self, looked: LookedAt) -> Iterator[Iterable[Found]]:
        if self._words is not None:
            yield ((*span, "word") for span in self._words.spans(looked.data, looked.begin))

    def _of_patterns(self, looked: LookedAt) -> Iterator[Iterable[Found]]:
        return (((*span, "pattern") for span in each.spans(looked.data, looked.begin)) for each in self._patterns)


def _taken(looked: LookedAt, found: Iterable[Iterable[Found]], begin: int) -> Iterator[tuple[int, int]]:
    """Yield what was found, with what it is known by to begin there."""
    return ((max(begin, span.start - _BESIDE), span.end) for each in found for span in looked.spans(each))


class TopicFinder:
    """Finds texts of a topic by how many of its words they have."""

    def __init__(self, topics: Sequence[Topic]) -> None:
        patterns = [any_word(topic.words) for topic in topics]
        self._topics: Final = [
            (topic, TextPattern(pattern, grouped=True)) for topic, pattern in zip(topics, patterns, strict=True)
        ]
        self._opening: Final = opening(patterns)

    @property
    def longest(self) -> int | None:
        """Characters of the longest word."""
        return max(_longest(topic.words) for topic, _ in self._topics)

    def find(self, text: str) -> Sequence[Span]:
        """Return what is in `text`."""
        return self.follow().find(text, 0, 0, len(text))

    def open(self, text: str, begin: int = 0) -> int:
        """See `Telling`."""
        if self._opening is None:
            return begin
        looked = LookedAt(text[: max(begin, unfinished(text))], begin=begin)
        found = (((*span, "word") for span in each.spans(looked.data, looked.begin)) for _, each in self._topics)
        return parted(_taken(looked, found, begin), looked.place(self._opening.first(looked.data, looked.begin)))

    def follow(self) -> "_Topics":
        """Return what remembers the words of a text that comes in pieces."""
        return _Topics(self._topics)


class _Topics:
    def __init__(self, topics: Sequence[tuple[Topic, TextPattern]]) -> None:
        self._topics: Final = [(topic, pattern, set[str]()) for topic, pattern in topics]

    def find(self, text: str, start: int, begin: int, until: int) -> Sequence[Span]:  # noqa: ARG002 # see `Follower`
        """See `Follower`."""
        looked = LookedAt(text, begin=begin)
        sure = len(looked.data if until >= len(text) else LookedAt(text[:until], begin=begin).data)
        return looked.spans(together(_of_topic(*each, looked, sure) for each in self._topics))


def _of_topic(topic: Topic, pattern: TextPattern, known: set[str], looked: LookedAt, until: int) -> Iterable[Found]:
    data = looked.data
    spans = [span for span in pattern.spans(data, looked.begin) if span[0] < until]
    known.update(" ".join(data[start:end].decode().casefold().split()) for start, end in spans)
    return [(*span, topic.name) for span in spans] if len(known) >= topic.min_matches else []


class LengthFinder:
    """Finds texts that are too long."""

    longest: int | None = 1

    def __init__(self, most: int) -> None:
        self._most = most

    def find(self, text: str) -> Sequence[Span]:
        """Return what is in `text`."""
        return [Span(self._most, len(text), "length")] if len(text) > self._most else []

    def follow(self) -> "_Length":
        """Return what counts the characters of a text that comes in pieces."""
        return _Length(self._most)


class _Length:
    def __init__(self, most: int) -> None:
        self._most = most

    def find(self, text: str, start: int, begin: int, until: int) -> Sequence[Span]:  # noqa: ARG002 # see `Follower`
        """See `Follower`."""
        allowed = max(0, self._most - start)
        return [Span(allowed, len(text), "length")] if len(text) > allowed else []


def _longest(words: Iterable[str]) -> int:
    """Return the characters by which a word is known, with one before and one after it."""
    return max(sum(map(len, parts := word.split())) + _BETWEEN * (len(parts) - 1) for word in words) + 2
