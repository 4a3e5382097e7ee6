"""Words by which a text wants to take the place of a model's instructions, in English, German, French and Spanish."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tandem_orchestrator.guardrails.found import Span, merged
from tandem_orchestrator.guardrails.looked_at import INVISIBLE, plain
from tandem_orchestrator.guardrails.opening import FEW
from tandem_orchestrator.guardrails.scan import Rule, RuleFinder

_PHRASES: Final = Path(__file__).with_suffix(".txt")
_NAME: Final = re.compile(r"([a-z]+) = (.+)")
_GAP: Final = re.compile(r" ~(\d*) ")
_BETWEEN: Final = r"[\s,'\x{2019}\"`*_\-]+"
"""What stands between words of a phrase, at least one of it."""
_LONGEST: Final = 512
_HIDING: Final = re.compile(
    "\U0001f3f4[\U000e0030-\U000e007a]{2,8}\U000e007f"
    "|([\U000e0000-\U000e007f]+|[\U000e0100-\U000e01ef]{2,}|[\u200b-\u200d\u2060-\u2064\ufeff]{4,}"
    "|[\u202d\u202e])"
)
"""The group: tags but for those of a flag, runs of zero width and of variation selectors, which can hold bytes, and
what turns the direction of writing around."""


class InjectionFinder(RuleFinder):
    """Finds them, and invisible characters that could hide some."""

    def __init__(self) -> None:
        super().__init__([rules()], _LONGEST, plain, FEW)

    def find(self, text: str, begin: int = 0) -> Sequence[Span]:
        """Return what is in `text`, by what it wants."""
        found = super().find(text, begin)
        if text.isascii() or not INVISIBLE.search(text):
            return found
        hidden = (Span(*each.span(1), "invisible_text") for each in _HIDING.finditer(text, begin) if each[1])
        return merged([*found, *hidden])


def rules() -> list[Rule]:
    """Return all."""
    return list(_rules(_PHRASES.read_text(encoding="utf-8")))


def _rules(written: str) -> Iterator[Rule]:
    """Yield the rules of a file whose head says how it is written."""
    names: dict[str, str] = {}
    for line in written.splitlines():
        if name := _NAME.fullmatch(line):
            names[f"{{{name[1]}}}"] = name[2]
        elif line and not line.startswith("#"):
            kind, _, said = line.partition(": ")
            yield Rule(kind, "(?i)" + (said[1:] if said.startswith("/") else _phrase(said, names)))


def _phrase(said: str, names: dict[str, str]) -> str:
    parts = _GAP.split(said)
    words = [f"(?:{names.get(part, part)})" for part in parts[::2]]
    gaps = [_BETWEEN + rf"(?:\w+{_BETWEEN}){{0,{most or 0}}}" for most in parts[1::2]]
    return r"\b" + "".join(map(str.__add__, words, [*gaps, ""])) + r"\b"
