"""Words, phrases and patterns of the configuration's own."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tandem_contract.config import Topic
from tandem_contract.text_pattern import TextPattern, any_word

from tandem_orchestrator.guardrails.found import Span, merged
from tandem_orchestrator.guardrails.looked_at import LookedAt
from tandem_orchestrator.guardrails.scan import Found, together

_BETWEEN: Final = 8
"""White space that a phrase may have between two of its words, for those who look at pieces of a text."""


class WordFinder:
    """Finds some words, and whatever has a pattern: in what a reader sees, patterns also in the text as it is."""

    def __init__(self, words: Sequence[str], patterns: Sequence[str]) -> None:
        self._words: Final = TextPattern(any_word(words), grouped=True) if words else None
        self._patterns: Final = tuple(map(TextPattern, patterns))
        self._longest = None if patterns else _longest(words)

    @property
    def longest(self) -> int | None:
        """Characters of the longest word; of a pattern nobody can tell."""
        return self._longest

    def find(self, text: str) -> Sequence[Span]:
        """Return what is in `text`."""
        looked = LookedAt(text)
        found = looked.spans(together(self._found(looked.data)))
        if looked.folded == text or not self._patterns:
            return found
        itself = LookedAt(text, str)
        return merged([*found, *itself.spans(together(_of_patterns(self._patterns, itself.data)))])

    def _found(self, data: bytes) -> Iterator[Iterable[Found]]:
        if self._words is not None:
            yield ((*span, "word") for span in self._words.spans(data))
        yield from _of_patterns(self._patterns, data)


def _of_patterns(patterns: Iterable[TextPattern], data: bytes) -> Iterator[Iterable[Found]]:
    return (((*span, "pattern") for span in pattern.spans(data)) for pattern in patterns)


class TopicFinder:
    """Finds texts of a topic by how many of its words they have."""

    def __init__(self, topics: Sequence[Topic]) -> None:
        self._topics: Final = [(topic, TextPattern(any_word(topic.words), grouped=True)) for topic in topics]

    @property
    def longest(self) -> int | None:
        """Characters of the longest word."""
        return max(_longest(topic.words) for topic, _ in self._topics)

    def find(self, text: str) -> Sequence[Span]:
        """Return what is in `text`."""
        return self.follow().find(text, 0, len(text))

    def follow(self) -> "_Topics":
        """Return what remembers the words of a text that comes in pieces."""
        return _Topics(self._topics)


class _Topics:
    def __init__(self, topics: Sequence[tuple[Topic, TextPattern]]) -> None:
        self._topics: Final = [(topic, pattern, set[str]()) for topic, pattern in topics]

    def find(self, text: str, start: int, until: int) -> Sequence[Span]:  # noqa: ARG002 # see `Follower`
        """See `Follower`."""
        looked = LookedAt(text)
        sure = looked.data if until >= len(text) else LookedAt(text[:until]).data
        return looked.spans(together(_of_topic(*each, looked.data, len(sure)) for each in self._topics))


def _of_topic(topic: Topic, pattern: TextPattern, known: set[str], data: bytes, until: int) -> Iterable[Found]:
    spans = [span for span in pattern.spans(data) if span[0] < until]
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

    def find(self, text: str, start: int, until: int) -> Sequence[Span]:  # noqa: ARG002 # see `Follower`
        """See `Follower`."""
        allowed = max(0, self._most - start)
        return [Span(allowed, len(text), "length")] if len(text) > allowed else []


def _longest(words: Iterable[str]) -> int:
    """Return the characters by which a word is known, with one before and one after it."""
    return max(sum(map(len, parts := word.split())) + _BETWEEN * (len(parts) - 1) for word in words) + 2
