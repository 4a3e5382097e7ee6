"""Checks by words and patterns, as the configuration has them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tandem_contract.config import ModerationRule
from tandem_contract.text_pattern import TextPattern, any_word


class Rule(NamedTuple):
    """What makes a text one of a category."""

    category: str
    patterns: tuple[TextPattern, ...]

    def matches(self, text: str) -> bool:
        """Return whether it does; takes time in proportion to the text, some milliseconds for a megabyte."""
        return any(pattern.matches(text) for pattern in self.patterns)


def rules(settings: Sequence[ModerationRule]) -> tuple[Rule, ...]:
    """Return the rules, compiled."""
    return tuple(Rule(each.category, tuple(map(TextPattern, _patterns(each)))) for each in settings)


def _patterns(settings: ModerationRule) -> Iterable[str]:
    if settings.words:
        yield any_word(settings.words)
    yield from settings.patterns
