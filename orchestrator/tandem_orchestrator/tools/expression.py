"""Arithmetic expressions: parsed, never run as code, and refused before they cost anything.

Whole numbers and fractions are exact, so that 0.1 + 0.2 is 0.3; functions and roots are floating point.
"""

import ast
import math
import operator
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Final

Number = int | Fraction | float

MAX_LENGTH: Final = 500  # characters
MAX_DEPTH: Final = 60
MAX_BITS: Final = 10_000  # of a whole number, about 3000 digits
EXACT_DIGITS: Final = 15  # significant digits up to which a decimal fraction is written in full
SHOWN_DIGITS: Final = 12
PLAIN_ABOVE: Final = 1e-9  # between this and the next no exponent is written
PLAIN_BELOW: Final = 1e15

_SIGNS: Final = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "π": "pi"})  # noqa: RUF001


class ExpressionError(ValueError):
    """The expression cannot be computed; the message says why."""


def evaluate(expression: str) -> str:
    """Return the value of `expression` as a plain number. Raises `ExpressionError`."""
    if len(expression) > MAX_LENGTH:
        raise ExpressionError(f"the expression is longer than {MAX_LENGTH} characters")
    text = expression.translate(_SIGNS).replace("^", "**").strip().rstrip("=").strip()
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ExpressionError(f"not an arithmetic expression: {expression!r}") from None
    try:
        return _written(_value(tree, 0))
    except ZeroDivisionError:
        raise ExpressionError("division by zero") from None
    except OverflowError:
        raise ExpressionError("the result is too large") from None
    except (ValueError, TypeError) as error:
        raise error if isinstance(error, ExpressionError) else ExpressionError(str(error)) from None


def _value(node: ast.expr, depth: int) -> Number:
    if depth > MAX_DEPTH:
        raise ExpressionError("the expression is nested too deeply")
    match node:
        case ast.Constant(value=bool()):
            raise ExpressionError("only numbers can be computed")
        case ast.Constant(value=int(number) | float(number)):
            return _literal(number)
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            value = _value(operand, depth + 1)
            return -value if isinstance(sign, ast.USub) else value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _bounded(_OPERATORS[type(op)](_value(left, depth + 1), _value(right, depth + 1)))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _bounded(_FUNCTIONS[name](*(_value(arg, depth + 1) for arg in args)))
        case _:
            raise ExpressionError(_complaint(node))


def _complaint(node: ast.expr) -> str:
    match node:
        case ast.Call(func=ast.Name(id=name)) | ast.Name(id=name):
            return f"unknown name {name!r}; known are {', '.join(sorted({*_FUNCTIONS, *_CONSTANTS}))}"
        case ast.Call():
            return "write multiplication as *"
        case ast.Tuple():
            return "write numbers without thousands separators"
        case _:
            return "only numbers, + - * / // % **, parentheses and functions can be computed"


def _literal(value: float) -> Number:
    """Return the number that was written: of 0.1 the exact fraction, not the nearest float."""
    if isinstance(value, int) or not math.isfinite(value):
        return value
    return _bounded(Fraction(repr(value)))


def _bounded(value: Number) -> Number:
    if isinstance(value, complex):
        raise ExpressionError("the result is not a real number")
    if isinstance(value, Fraction):
        if value.numerator.bit_length() > MAX_BITS or value.denominator.bit_length() > MAX_BITS:
            return float(value)
        return value.numerator if value.denominator == 1 else value
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ExpressionError("the result is too large")
    return value


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(exponent, int) and not isinstance(base, float):
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if bits > 1 and bits * abs(exponent) > 2 * MAX_BITS:
            raise ExpressionError("the result is too large")
        return Fraction(base) ** exponent
    power: Number = float(base) ** float(exponent)
    return power


def _factorial(value: Number) -> Number:
    if not isinstance(value, int) or not 0 <= value <= 1000:  # noqa: PLR2004 # 1000! has 2568 digits
        raise ExpressionError("factorial takes a whole number from 0 to 1000")
    return math.factorial(value)


def _divide(left: Number, right: Number) -> Number:
    if isinstance(left, float) or isinstance(right, float):
        return left / right
    return Fraction(left) / Fraction(right)


def _log(value: Number, base: Number = math.e) -> float:
    return math.log(value) if base == math.e else math.log(value, base)


def _round(value: Number, digits: Number = 0) -> Number:
    """Round a half away from zero, as people do."""
    if not isinstance(digits, int) or abs(digits) > MAX_LENGTH:
        raise ExpressionError("round takes a whole number of digits")
    exact, scale = Fraction(repr(value)) if isinstance(value, float) else Fraction(value), Fraction(10) ** digits
    return (-1 if exact < 0 else 1) * math.floor(abs(exact) * scale + Fraction(1, 2)) / scale


def _rounded(function: Callable[[float], float]) -> Callable[[float], float]:
    return lambda value: round(function(value), 15)  # sin(pi) is 0, not 1.2e-16


def _whole(function: Callable[..., int]) -> Callable[..., int]:
    def checked(*values: Number) -> int:
        if not all(isinstance(value, int) for value in values):
            raise ExpressionError(f"{function.__name__} takes whole numbers")
        return function(*values)

    return checked


_OPERATORS: Final[dict[type[ast.operator], Callable[[Number, Number], Number]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divide,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_CONSTANTS: Final[dict[str, Number]] = {"pi": math.pi, "e": math.e, "tau": math.tau}
_FUNCTIONS: Final[dict[str, Callable[..., Number]]] = {
    **{name: getattr(math, name) for name in ("sqrt", "cbrt", "exp", "log10", "log2", "hypot", "degrees", "radians")},
    **{name: getattr(math, name) for name in ("asin", "acos", "atan", "atan2", "floor", "ceil")},
    **{name: _rounded(getattr(math, name)) for name in ("sin", "cos", "tan")},
    "gcd": _whole(math.gcd),
    "lcm": _whole(math.lcm),
    "log": _log,
    "ln": math.log,
    "abs": abs,
    "round": _round,
    "min": min,
    "max": max,
    "pow": _power,
    "factorial": _factorial,
}


def _written(value: Number) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Fraction):
        exact = format(float(value), f".{EXACT_DIGITS}g")
        if Fraction(exact) == value:
            return _plain(exact)
        value = float(value)
    if not math.isfinite(value):
        raise ExpressionError("the result is not a finite number")
    return _plain(format(value, f".{SHOWN_DIGITS}g"))


def _plain(text: str) -> str:
    """Return `text` without an exponent where that leaves a readable number."""
    number = Decimal(text)
    if number == 0:
        return "0"
    return f"{number:f}" if PLAIN_ABOVE < abs(number) < PLAIN_BELOW else text
