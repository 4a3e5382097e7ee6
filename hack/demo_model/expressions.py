"""Arithmetic expressions, as people type them."""

import random
from typing import Final

from hack.demo_model.quantities import number

OPERATORS: Final = ("+", "+", "-", "-", "*", "*", "*", "/", "/", "**", "%")
SPACINGS: Final = (" ", " ", " ", " ", "")
FUNCTIONS: Final = ("sqrt", "abs", "round")
SPOKEN: Final = {"plus": "+", "minus": "-", "times": "*", "divided by": "/"}


def _operand(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.9:
        return number(rng)
    if kind < 0.97:
        return f"-{number(rng)}"
    return f"(-{number(rng)})"


def _chain(rng: random.Random, terms: int, space: str) -> str:
    text = _operand(rng)
    for _ in range(terms - 1):
        text += f"{space}{rng.choice(OPERATORS)}{space}{_operand(rng)}"
    return text


def expression(rng: random.Random) -> str:
    """Return an expression of one to five operands, with and without spaces and parentheses."""
    space = rng.choice(SPACINGS)
    operator = f"{space}{rng.choice(OPERATORS)}{space}"
    kind = rng.random()
    if kind < 0.55:
        return _chain(rng, 2, space)
    if kind < 0.75:
        return _chain(rng, rng.choice((3, 3, 4, 5)), space)
    if kind < 0.83:
        return f"({_chain(rng, 2, space)}){operator}{_operand(rng)}"
    if kind < 0.91:
        return f"{_operand(rng)}{operator}({_chain(rng, 2, space)})"
    if kind < 0.95:
        return f"({_chain(rng, 2, space)}){operator}({_chain(rng, 2, space)})"
    return f"{rng.choice(FUNCTIONS)}({_chain(rng, rng.choice((1, 1, 2)), space)})"


def spoken(rng: random.Random) -> tuple[str, str]:
    """Return an expression in words and in symbols, e.g. ("12 times 7", "12 * 7")."""
    name = rng.choice(tuple(SPOKEN))
    left, right = number(rng), number(rng)
    return f"{left} {name} {right}", f"{left} {SPOKEN[name]} {right}"
