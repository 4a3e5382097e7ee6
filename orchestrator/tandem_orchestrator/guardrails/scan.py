"""Looks for everything of a family at once: one pass over the text, and only where that finds something, what it is."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from tandem_contract.text_pattern import TextPattern

from tandem_orchestrator.guardrails.found import Span
from tandem_orchestrator.guardrails.looked_at import Fold, LookedAt, unfinished, visible
from tandem_orchestrator.guardrails.opening import Opening, parted

Found = tuple[int, int, str]
"""Bytes of a text, as slices have them, and the kind of what is there."""
Holds = Callable[[str], bool]


def always(_: str) -> bool:
    """Return True: the pattern says all there is."""
    return True


_MEMORY: Final = 24
"""MiB. The rules for injections take seconds a megabyte with 8, and 9 ms with 16."""
_MANY: Final = 64
"""Rules that a text is held against at once, to see whether it ends with the beginning of something."""
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

    def found(self, data: bytes, begin: int = 0) -> Iterator[Found]:
        """Yield what is in `data`, from front to back and without overlaps; before `begin` there is only context."""
        return (found for _, _, found in self._matches(data, begin) if found is not None)

    def taken(self, data: bytes, begin: int) -> Iterator[tuple[int, int]]:
        """Yield all that was matched, whether it is one or not: nothing else is found in that."""
        for start, end, found in self._matches(data, begin):
            yield start, end if found is None else max(end, found[1])

    def _matches(self, data: bytes, begin: int) -> Iterator[tuple[int, int, Found | None]]:
        last = 0
        for start, end in self._any.spans(data, begin):
            found = self._found(data, start, last)
            if found is not None:
                last = found[1]
            yield start, end, found

    def _found(self, data: bytes, start: int, last: int) -> Found | None:
        """Return what the first rule finds that holds."""
        for rule, pattern in self._rules:
            span = pattern.span_at(data, start)
            if span is not None and span[0] >= last and rule.holds(data[span[0] : span[1]].decode()):
                return None if rule.kind == INNOCENT else (*span, rule.kind)
        return None


class RuleFinder:
    """Finds by families of rules, and tells where a hit may be open."""

    longest: int | None

    def __init__(
        self, families: Iterable[Sequence[Rule]], longest: int, fold: Fold = visible, at_once: int = _MANY
    ) -> None:
        families = [rules for rules in families if rules]
        self.longest = longest
        self._fold = fold
        self._scans: Final = tuple(map(Scan, families))
        self._opening: Final = Opening([rule.pattern for rules in families for rule in rules], at_once)

    def find(self, text: str, begin: int = 0) -> Sequence[Span]:
        """Return what is in `text`, by its kind."""
        looked = LookedAt(text, self._fold, begin)
        return looked.spans(together(scan.found(looked.data, looked.begin) for scan in self._scans))

    def open(self, text: str, begin: int = 0) -> int:
        """See `Telling`."""
        looked = LookedAt(text[: max(begin, unfinished(text))], self._fold, begin)
        taken = (each for scan in self._scans for each in scan.taken(looked.data, looked.begin))
        return looked.place(parted(taken, self._opening.first(looked.data, looked.begin)))


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
