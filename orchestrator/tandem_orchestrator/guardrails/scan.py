"""Looks for everything of a family at once: one pass over the text, and only where that finds something, what it is."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from tandem_contract.text_pattern import TextPattern

Found = tuple[int, int, str]
"""Bytes of a text, as slices have them, and the kind of what is there."""
Holds = Callable[[str], bool]


def always(_: str) -> bool:
    """Return True: the pattern says all there is."""
    return True


_MEMORY: Final = 24
"""MiB. The rules for injections take seconds a megabyte with 8, and 9 ms with 16."""
INNOCENT: Final = "innocent"
"""Kind of what only looks like something: nothing inside of it is found."""


class Rule(NamedTuple):
    """A form that a kind has. Patterns take few steps back and forth for any text if what they repeat is either without
    end, or behind something that is seldom."""

    kind: str
    pattern: str
    """A group in it is what is found; the rest is context."""
    holds: Holds = always
    """Whether what was found is one, e.g. by its checksum."""


class Scan:
    """Some rules, ready."""

    __slots__ = ("_any", "_rules")

    def __init__(self, rules: Iterable[Rule]) -> None:
        rules = tuple(rules)
        self._any: Final = TextPattern("|".join(f"(?:{rule.pattern})" for rule in rules), memory=_MEMORY)
        self._rules: Final = [(rule, TextPattern(rule.pattern, grouped=True)) for rule in rules]

    def found(self, data: bytes) -> Iterator[Found]:
        """Yield what is in `data`, from front to back and without overlaps."""
        last = 0
        for begin, _ in self._any.spans(data):
            for rule, pattern in self._rules:
                span = pattern.span_at(data, begin)
                if span is None or span[0] < last or not rule.holds(data[span[0] : span[1]].decode()):
                    continue
                if rule.kind != INNOCENT:
                    yield *span, rule.kind
                    last = span[1]
                break


def together(families: Iterable[Iterable[Found]]) -> list[Found]:
    """Return what is found by several, from front to back; what overlaps is one, of the kind that the first knows."""
    kept: list[tuple[int, int, int, str]] = []
    for start, end, order, kind in sorted(
        (start, end, order, kind) for order, family in enumerate(families) for start, end, kind in family
    ):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end, order, kind))
            continue
        begin, until, first, known = kept[-1]
        kept[-1] = (begin, max(until, end), *min((first, known), (order, kind)))
    return [(start, end, kind) for start, end, _, kind in kept]
