"""Of a regular expression that of all beginnings of what it matches; by it one knows what a text may still become.

Of `ab{2}(c|d)` it is `(?:a(?:b{0,2}|b{2}(?:c?|d?)))?`, with some more parentheses.
"""

import re
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"(?P<repeat>(?:[*+?]|\{(?P<least>\d+)(?P<more>,(?P<most>\d*))?\})\??)"
    r"|(?P<set>\(\?[imsU-]+\))"
    r"|(?P<open>\((?:\?(?:P?<\w+>|(?P<flags>[imsU-]*):)|(?!\?)))"
    r"|(?P<close>\))|(?P<other>\|)"
    r"|(?P<nothing>\\[bBAz]|[\^$])"
    r"|(?P<one>\\[pPx](?:\{\^?\w+\}|(?<=x)[0-9A-Fa-f]{2}|(?<=[pP])\w)|\\[^0-9QECpPx]|[^\\\[]"
    r"|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\])",
    re.DOTALL | re.ASCII,
)


MOST_DEEP: Final = 100  # groups in groups
MOST_TIMES: Final = 32  # as long as its pattern; deep repetitions make it longer, and slow


class Part(NamedTuple):
    """A part of a regular expression."""

    whole: str
    begun: str
    """What matches all beginnings of it, nothing and the whole among them."""
    is_one: bool = False
    """Whether nothing lies between the two: a character, or no more than a condition."""


_NOTHING: Final = Part("", "")


def beginnings(pattern: str) -> str:
    """Return the pattern, in RE2's syntax as the one given. Raises `ValueError` for one that is not understood."""
    reader = _Reader(pattern)
    part = reader.alternatives()
    if reader.token is not None:
        raise ValueError(f"has a parenthesis too many: {pattern}")
    if len(part.begun) > MOST_TIMES * len(pattern):
        raise ValueError(f"has too many beginnings: {pattern}")
    return part.begun


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._depth = 0
        self.token: re.Match[str] | None = None
        self._next()

    def _next(self) -> None:
        self.token = None
        if self._at < len(self._pattern):
            self.token = _TOKEN.match(self._pattern, self._at)
            if self.token is None:
                raise ValueError(f"is not understood: {self._pattern[self._at :]}")
            self._at = self.token.end()

    def alternatives(self) -> Part:
        """Read up to a closing parenthesis or the end."""
        self._depth += 1
        if self._depth > MOST_DEEP:
            raise ValueError(f"is too deep: {self._pattern}")
        found = [self._sequence()]
        while self.token is not None and self.token["other"]:
            self._next()
            found.append(self._sequence())
        self._depth -= 1
        return Part("|".join(part.whole for part in found), "|".join(part.begun for part in found))

    def _sequence(self) -> Part:
        parts = []
        while self.token is not None and not (self.token["other"] or self.token["close"]):
            parts.append(self._repeated())
        rest = _NOTHING
        for part in reversed(parts):
            rest = _before(part, rest)
        return rest

    def _repeated(self) -> Part:
        part = self._single()
        while self.token is not None and self.token["repeat"]:
            part = _times(part, self.token)
            self._next()
        return part

    def _single(self) -> Part:
        token = self.token
        assert token is not None  # noqa: S101 # as callers have seen
        self._next()
        said = token[0]
        if token["set"]:  # counts for all that follows in its group, other alternatives among it
            rest = self.alternatives()
            return Part(f"(?:{said}{rest.whole})", f"(?:{said}{rest.begun})")
        if token["nothing"]:
            return Part(said, "", is_one=True)
        if token["one"]:
            return Part(said, f"{said}?", is_one=True)
        if not token["open"]:
            raise ValueError(f"repeats nothing: {self._pattern}")
        inner = self.alternatives()
        if self.token is None:
            raise ValueError(f"has an open parenthesis: {self._pattern}")
        self._next()
        head = f"(?{token['flags'] or ''}:"
        return Part(f"{head}{inner.whole})", f"{head}{inner.begun})")


def _before(part: Part, rest: Part) -> Part:
    whole = part.whole + rest.whole
    if part.is_one:
        return Part(whole, f"(?:{part.whole}{rest.begun})?")
    return Part(whole, f"(?:{part.begun}|{part.whole}{rest.begun})")


def _times(part: Part, repeat: re.Match[str]) -> Part:
    """Return a part that is repeated: of its beginnings all but the last are whole ones."""
    whole = f"(?:{part.whole}){repeat[0]}"
    if repeat[0][0] == "?":
        return Part(whole, part.begun)
    most = ""
    if repeat["least"]:
        most = repeat["most"] if repeat["more"] else repeat["least"]
    if part.is_one:
        return Part(whole, f"(?:{part.whole}){{0,{most}}}")
    if most == "0":
        return Part(whole, "")
    before = f"{{0,{int(most) - 1}}}" if most else "*"
    return Part(whole, f"(?:(?:{part.whole}){before}(?:{part.begun}))")
