"""What a prompt's template can do with values: filters and tests by Jinja's names, each of which pays for its work."""

import json
from collections.abc import Callable
from typing import Any, Final

from jinja2 import pass_context
from jinja2.runtime import Context, Undefined
from jinja2.tests import TESTS as JINJAS_TESTS

BUDGET: Final = " budget"
"""Where a rendering has it among its values; like what begins with a space below, no template can name it."""
LOOPED: Final = " looped"
COMPARED: Final = " compared"
SEARCHED: Final = " searched"
_STEPS: Final = 400_000
"""Of one rendering: some hundred milliseconds at most."""
_TURN: Final = 10  # steps, as others stand in a loop
_CHARACTERS: Final = 16  # a step
_WIDEST: Final = 64
_MOST_DIGITS: Final = 15


class Unusable(Exception):
    """A template wants what cannot be had of a value."""


class Budget:
    """How much more work a rendering may make."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _STEPS

    def spend(self, steps: int) -> None:
        """Raise `Unusable` where not so many are left."""
        self._left -= steps
        if self._left < 0:
            raise Unusable("the prompt takes too long to make: it goes through too much, or too often")


def kind(value: object) -> str:
    """Return what a value is, in words. Raises `UndefinedError` where there is none."""
    if isinstance(value, Undefined):
        return str(value) or "nothing"  # as an `if` without `else` gives
    names = {str: "a text", dict: "an object", list: "a list", tuple: "a list", bool: "a truth value"}
    return "null" if value is None else names.get(type(value), "a number")


@pass_context
def written(context: Context, value: Any) -> str:
    """Return a text as it is, and all else as JSON."""
    return _written(context, value)


def _written(context: Context, value: Any) -> str:
    text = value if isinstance(value, str) else _json(value)
    _pay(context, text)
    return text


def _json(value: Any, indent: int | None = None) -> str:
    if isinstance(value, Undefined):
        return str(value)  # raises, unless it is of an `if` without `else`
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _pay(context: Context, value: str | list[Any] | dict[str, Any]) -> None:
    context.parent[BUDGET].spend(1 + (len(value) // _CHARACTERS if isinstance(value, str) else len(value)))


def _expect(name: str, value: object, *kinds: type) -> None:
    if not isinstance(value, kinds):
        raise Unusable(f"`{name}` cannot be had of {kind(value)}")


def _expect_number(name: str, value: object, most: int) -> None:
    if type(value) is not int or not 0 <= value <= most:
        raise Unusable(f"`{name}` must be a whole number from 0 to {most}")


def _looped(context: Context, value: Any) -> Any:
    _expect("for", value, list, dict, tuple)
    context.parent[BUDGET].spend(1 + _TURN * len(value))
    return value


def _compared(context: Context, value: object) -> object:
    if isinstance(value, list | dict | tuple | Undefined):
        raise Unusable(f"{kind(value)} cannot be compared")
    if isinstance(value, str):
        _pay(context, value)
    return value


def _searched(context: Context, value: Any) -> Any:
    _expect("in", value, str, list, dict, tuple)
    _pay(context, value)
    return value


def _default(_: Context, value: Any, default_value: Any = "", boolean: Any = False) -> Any:  # noqa: FBT002 # Jinja's
    return default_value if isinstance(value, Undefined) or (boolean and not value) else value


def _join(context: Context, value: Any, d: Any = "", attribute: Any = None) -> str:
    _expect("join", value, list)
    _expect("join", d, str)
    context.parent[BUDGET].spend(len(value) * (1 + len(d) // _CHARACTERS))
    if attribute is not None:
        value = (context.environment.getitem(each, attribute) for each in value)
    return str(d.join(_written(context, each) for each in value))


def _tojson(context: Context, value: Any, indent: Any = None) -> str:
    if indent is not None:
        _expect_number("indent", indent, _WIDEST)
    text = _json(value, indent)
    _pay(context, text)
    return text


def _items(context: Context, value: Any) -> list[tuple[str, Any]]:
    _expect("items", value, dict)
    _pay(context, value)
    return list(value.items())


def _length(_: Context, value: Any) -> int:
    _expect("length", value, str, list, dict)
    return len(value)


def _first(_: Context, value: Any) -> Any:
    return _end("first", value, 0)


def _last(_: Context, value: Any) -> Any:
    return _end("last", value, -1)


def _end(name: str, value: Any, index: int) -> Any:
    _expect(name, value, str, list)
    if not value:
        raise Unusable(f"`{name}` cannot be had of what is empty")
    return value[index]


def _of_text(change: Callable[[str], str]) -> Callable[[Context, object], str]:
    def changed(context: Context, value: object) -> str:
        return change(_written(context, value))

    return changed


def _truncate(context: Context, value: Any, length: Any = 255, killwords: Any = False, end: Any = "...") -> str:  # noqa: FBT002
    _expect("truncate", end, str)
    text = _written(context, value)
    if len(text) <= length:
        return text
    cut = text[: max(length - len(end), 0)]
    return f"{cut if killwords else cut.rsplit(' ', 1)[0]}{end}"


def _indent(context: Context, value: Any, width: Any = 4, first: Any = False) -> str:  # noqa: FBT002 # Jinja's
    _expect_number("width", width, _WIDEST)
    lines = _written(context, value).split("\n")
    context.parent[BUDGET].spend(len(lines) * (1 + width // _CHARACTERS))
    indented = [f"{' ' * width}{line}" if line and (first or number) else line for number, line in enumerate(lines)]
    return "\n".join(indented)


def _round(_: Context, value: Any, precision: Any = 0) -> float:
    _expect("round", value, int, float)
    _expect_number("precision", precision, _MOST_DIGITS)
    rounded: float = round(float(value), precision)
    return rounded


def _int(context: Context, value: Any, default: Any = 0) -> Any:
    return _number(context, int, value, default)


def _float(context: Context, value: Any, default: Any = 0.0) -> Any:
    return _number(context, float, value, default)


def _number(context: Context, number: Callable[[Any], Any], value: Any, default: Any) -> Any:
    if isinstance(value, str):
        _pay(context, value)
    elif isinstance(value, Undefined):
        str(value)  # raises
    try:
        return number(value)
    except (TypeError, ValueError, OverflowError):
        return default


OFFERED: Final[dict[str, Callable[..., Any]]] = {
    "capitalize": _of_text(str.capitalize),
    "default": _default,
    "first": _first,
    "float": _float,
    "indent": _indent,
    "int": _int,
    "items": _items,
    "join": _join,
    "last": _last,
    "length": _length,
    "lower": _of_text(str.lower),
    "round": _round,
    "title": _of_text(str.title),
    "tojson": _tojson,
    "trim": _of_text(str.strip),
    "truncate": _truncate,
    "upper": _of_text(str.upper),
}
"""What a template can name; arguments have Jinja's names."""
FILTERS: Final = {
    name: pass_context(function)
    for name, function in {**OFFERED, LOOPED: _looped, COMPARED: _compared, SEARCHED: _searched}.items()
}
TESTS: Final = {
    name: JINJAS_TESTS[name]
    for name in (
        *("boolean", "defined", "false", "float", "integer", "iterable", "mapping", "none", "number", "sequence"),
        *("string", "true", "undefined"),
    )
}
