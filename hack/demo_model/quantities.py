"""Numbers as they are written: in questions, and as results of tools."""

import random
import string
from typing import Final

LENGTHS: Final = (1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4, 5, 5, 6, 7, 8, 9)


def digits(rng: random.Random, length: int) -> str:
    """Return `length` digits without a leading zero; some numbers use only two different digits."""
    alphabet = string.digits if rng.random() < 0.85 else "".join(rng.sample(string.digits, 2))
    text = "".join(rng.choices(alphabet, k=length))
    return text if length == 1 else rng.choice("123456789") + text[1:]


def number(rng: random.Random) -> str:
    """Return a number as a person types it: 1 to 9 digits, sometimes a fraction."""
    whole = digits(rng, rng.choice(LENGTHS))
    if rng.random() < 0.85:
        return whole
    return f"{whole[:4]}.{''.join(rng.choices(string.digits, k=rng.choice((1, 1, 2, 2, 3))))}"


def result(rng: random.Random) -> str:
    """Return a number as a tool reports it: negative, fractional, up to 13 digits, sometimes with an exponent."""
    sign = "-" if rng.random() < 0.35 else ""
    kind = rng.random()
    if kind < 0.55:
        return sign + digits(rng, rng.choice((*LENGTHS, 5, 5, 6, 6, 7, 8, 10, 11, 12, 13)))
    whole = digits(rng, rng.choice((1, 1, 2, 2, 3, 4, 5, 6))) if rng.random() < 0.7 else "0"
    length = rng.choice((1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 12, 15, 16))
    fraction = "".join(rng.choices(string.digits, k=length))
    if rng.random() < 0.12:
        fraction = rng.choice(string.digits) * length
    if kind < 0.97:
        return f"{sign}{whole}.{fraction}"
    return f"{sign}{whole[0]}.{fraction}e{rng.choice('+-')}{digits(rng, 2)}"


def temperature(rng: random.Random) -> str:
    """Return a temperature from -60 to 120, whole or with one or two decimals."""
    whole = rng.randint(-60, 120) if rng.random() < 0.3 else rng.randint(-30, 42)
    if rng.random() < 0.4:
        return str(whole)
    return f"{whole}.{''.join(rng.choices(string.digits, k=rng.choice((1, 1, 1, 2))))}"
