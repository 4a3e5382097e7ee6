"""Shapes that answers are held to: JSON schemas, patterns, choices and grammars, bounded before an engine gets them.

An engine makes an automaton of a shape, in a process that all its clients share and mostly without a limit of time. The
bounds come from what vLLM was seen to do: docs/decisions/output-shapes.md. What is merely wrong, or not supported, is
the engine's to say.
"""

from typing import Any, Final

from tandem_contract.repetition import grammar_size, pattern_size

MOST_PARTS: Final = 4_000
"""Objects and list entries, `required` left out: properties, enum values, alternatives and choices, mostly."""
MOST_CHARACTERS: Final = 131_072
"""Of names and values, without what only tells of them."""
MOST_STATES: Final = 5_000
"""Of all patterns of a schema, or of a pattern or grammar, with its repetitions written out."""
MOST_ITEMS: Final = 10_000
"""In `ITEMS`."""
DEEPEST: Final = 80
"""Objects and lists in each other; vLLM takes 64 in a schema, and up to 16 around it."""

TOLD: Final = frozenset({"title", "description", "$comment", "default", "examples"})
"""Keywords of which engines make nothing."""
ITEMS: Final = frozenset({"minItems", "maxItems", "minContains", "maxContains", "minProperties", "maxProperties"})

Place = tuple["Place | None", str | int]
"""The place of what holds a value, and the value's name or number in there."""
Level = list[tuple[dict[str, Any] | list[Any], Place | None]]


class ShapeError(ValueError):
    """A shape that no engine shall get; `path` leads to what is too much of it, empty where that is all of it."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


def check_schema(schema: dict[str, Any] | list[Any]) -> None:
    """Raise `ShapeError` for a JSON schema, or something with schemas in it, that may keep an engine from its clients.

    Every value counts, wherever it stands: a reference may lead to any of them.
    """
    count = _Count()
    level: Level = [(schema, None)]
    for _ in range(DEEPEST):
        below: Level = []
        for value, place in level:
            if isinstance(value, dict):
                count.object(value, place, below)
            else:
                count.list(value, place, below)
        if not below:
            return
        level = below
    raise ShapeError(_path(level[0][1]), f"is nested deeper than {DEEPEST} levels")


def check_pattern(pattern: str) -> None:
    """Raise `ShapeError` for a regular expression that may do so."""
    _check_size(pattern_size(pattern, MOST_STATES))


def check_grammar(grammar: str) -> None:
    """Raise `ShapeError` for a grammar (EBNF, GBNF, Lark) that may do so."""
    _check_size(grammar_size(grammar, MOST_STATES))


class _Count:
    """What the values of a schema amount to so far. Its methods add those `below` to the next level."""

    def __init__(self) -> None:
        self._parts = self._characters = self._states = 0

    def object(self, value: dict[str, Any], place: Place | None, below: Level) -> None:
        self._add(0, len(value), place)
        for name, inner in value.items():
            if isinstance(inner, str):
                if name not in TOLD:
                    self._text(name, inner, place)
            elif isinstance(inner, dict):
                self._add(1, len(name), place)
                below.append((inner, (place, name)))
                if name == "patternProperties":
                    for pattern in inner:
                        self._pattern(pattern, (place, name))
            elif isinstance(inner, list):
                if name != "required":
                    below.append((inner, (place, name)))
            elif name in ITEMS and isinstance(inner, int | float) and inner > MOST_ITEMS:
                raise ShapeError(_path((place, name)), f"must be at most {MOST_ITEMS}; or leave it out")

    def list(self, value: list[Any], place: Place | None, below: Level) -> None:
        self._add(len(value), sum(len(inner) for inner in value if isinstance(inner, str)), place)
        for number, inner in enumerate(value):
            if isinstance(inner, dict | list):
                below.append((inner, (place, number)))

    def _text(self, name: str, text: str, place: Place | None) -> None:
        self._add(0, len(text), place)
        if name == "pattern":
            self._pattern(text, (place, name))
        elif name == "$ref" and text != "#" and not text.startswith("#/"):
            raise ShapeError(_path((place, name)), "must lead to a place in the schema itself, such as #/$defs/name")

    def _pattern(self, pattern: str, place: Place) -> None:
        self._states += pattern_size(pattern, MOST_STATES)
        _check_size(self._states, place)

    def _add(self, parts: int, characters: int, place: Place | None) -> None:
        self._parts += parts
        self._characters += characters
        if self._parts > MOST_PARTS:
            raise ShapeError(_path(place), f"has more than {MOST_PARTS} properties, values and alternatives in all")
        if self._characters > MOST_CHARACTERS:
            raise ShapeError(_path(place), f"has more than {MOST_CHARACTERS} characters of names and values in all")


def _check_size(states: int, place: Place | None = None) -> None:
    if states > MOST_STATES:
        raise ShapeError(
            _path(place),
            f"is too much: with repetitions written out, all patterns together may have {MOST_STATES} characters",
        )


def _path(place: Place | None) -> str:
    names = []
    while place is not None:
        place, name = place
        names.append(str(name))
    return ".".join(reversed(names))
