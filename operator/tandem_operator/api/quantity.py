"""Kubernetes quantities and durations as people write them."""

import math
import re
from decimal import ROUND_UP, Context, Decimal
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, StringConstraints, WithJsonSchema

_SIGNED: Final = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)"
_SUFFIXES: Final = r"([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?"
_PATTERN: Final = f"^{_SIGNED}{_SUFFIXES}$"
_FACTORS: Final = {
    **{letter: Decimal(1000) ** power for power, letter in enumerate("num", start=-3)},
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", start=1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
}
_EXACT: Final = Context(prec=64)
_LONGEST: Final = 32
_SMALLEST: Final = Decimal("0.001")
_LARGEST: Final = Decimal(2**63 - 1)
"""What Kubernetes makes of any larger one."""
_MOST: Final = "1E"
_RULE: Final = {
    "rule": "!quantity(string(self)).isLessThan(quantity('0'))"
    f" && !quantity(string(self)).isGreaterThan(quantity('{_MOST}'))",
    "message": f"must be between 0 and {_MOST}",
}
_UNIT_SECONDS: Final = {"h": 3600, "m": 60, "s": 1}


def number(quantity: str | int) -> Decimal:
    """Return the value of a quantity such as `500m`, `2`, `1e9` or `1.5Gi`, and ValueError for anything else.

    It is rounded up to thousandths and bounded, as Kubernetes does it.
    """
    text = str(quantity)
    if not (found := re.fullmatch(rf"({_SIGNED}){_SUFFIXES}", text)):
        raise ValueError(f"{text!r} is not a quantity; write for example 500m, 2 or 1.5Gi")
    digits, suffix = found[1], text[len(found[1]) :]
    value = _EXACT.multiply(Decimal(digits), _FACTORS[suffix]) if suffix in _FACTORS else Decimal(text)
    return max(-_LARGEST, min(_LARGEST, value)).quantize(_SMALLEST, ROUND_UP, _EXACT)


def total(*quantities: str) -> str:
    """Return the sum of quantities of bytes, in the largest binary unit that keeps it whole."""
    value, unit = math.ceil(sum(map(number, quantities))), ""
    for larger in ("Ki", "Mi", "Gi", "Ti", "Pi"):
        if value % 1024:
            break
        value, unit = value // 1024, larger
    return f"{value}{unit}"


def same_amount(one: object, other: object) -> bool:
    """Return whether two quantities have the same value; what is no quantity is like no other."""
    try:
        return number(str(one)) == number(str(other))
    except ValueError:
        return False


def seconds(duration: str) -> int:
    """Return the seconds of a duration such as `90s`, `30m` or `1h30m`; the caller has checked its form."""
    return sum(int(count) * _UNIT_SECONDS[unit] for count, unit in re.findall(r"([0-9]+)([hms])", duration))


def _written(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _checked(value: str) -> str:
    if not 0 <= number(value) <= number(_MOST):
        raise ValueError(_RULE["message"])
    return value


Quantity = Annotated[
    str,
    BeforeValidator(_written),
    StringConstraints(max_length=_LONGEST),
    AfterValidator(_checked),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "pattern": _PATTERN,
            "maxLength": _LONGEST,
            "x-kubernetes-validations": [_RULE],
        }
    ),
]
