"""What looks by rules."""

import re
from collections.abc import Sequence

from tandem_contract.config import Guardrail
from tandem_contract.text_pattern import any_word

from tandem_orchestrator.guardrails.found import Finder, Span


class _Patterns:
    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [re.compile(pattern) for pattern in patterns]

    def find(self, text: str) -> Sequence[Span]:
        """See `Finder`."""
        return [Span(*match.span(), "pattern") for pattern in self._patterns for match in pattern.finditer(text)]


def finder(settings: Guardrail) -> Finder | None:
    """Return what looks for what the settings say; None for those of a judge."""
    words = [any_word(settings.words)] if settings.words else []
    return _Patterns([*words, *settings.patterns]) if words or settings.patterns else None
