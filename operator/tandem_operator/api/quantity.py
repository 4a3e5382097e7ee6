"""Kubernetes quantities and durations as people write them."""

import re
from decimal import Decimal
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

_PATTERN: Final = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"
_SUFFIX: Final = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTP", start=1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTP", start=1)},
}
_UNIT_SECONDS: Final = {"h": 3600, "m": 60, "s": 1}


def number(quantity: str | int) -> Decimal:
    """Return the value of a quantity such as `500m`, `2` or `1.5Gi`; ValueError for anything else."""
    text = str(quantity)
    if not re.fullmatch(_PATTERN, text):
        raise ValueError(f"{text!r} is not a quantity; write for example 500m, 2 or 1.5Gi")
    digits = text.rstrip("mkMGTPKi")
    return Decimal(digits) * _SUFFIX[text[len(digits) :]]


def seconds(duration: str) -> int:
    """Return the seconds of a duration such as `90s`, `30m` or `1h30m`; the caller has checked its form."""
    return sum(int(count) * _UNIT_SECONDS[unit] for count, unit in re.findall(r"([0-9]+)([hms])", duration))


def _written(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _checked(value: str) -> str:
    number(value)
    return value


Quantity = Annotated[
    str,
    BeforeValidator(_written),
    AfterValidator(_checked),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "pattern": _PATTERN,
        }
    ),
]
