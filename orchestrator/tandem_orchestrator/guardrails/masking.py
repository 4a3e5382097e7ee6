"""Puts kinds in the place of what was found."""

from collections.abc import Iterable

from tandem_orchestrator.guardrails.found import Span


def masked(text: str, spans: Iterable[Span]) -> str:
    """Return `text` with `[EMAIL_ADDRESS]` and its like in the place of spans; those that overlap become one.

    Spans may come from several finders, in any order. Of an overlap the kind counts that begins first, or is longer.
    """
    pieces, end = list[str](), 0
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if span.start >= end:
            pieces += (text[end : span.start], f"[{span.kind.upper()}]")
        end = max(end, span.end)
    return "".join((*pieces, text[end:]))
