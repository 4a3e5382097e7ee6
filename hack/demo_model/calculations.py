"""Questions for calculate_math, what the tool returns, and the answers."""

import json
import random
from typing import Final

from hack.demo_model.phrases import ORDER, QUESTION, Clause

QUESTIONS: Final = (
    "what is {}", "what is {}", "what is {}", "what's {}", "how much is {}", "what does {} equal", "{}", "{} =",
    "can you work out {}", "can you calculate {}", "could you compute {}", "what is the result of {}",
    "what is the value of {}", "do you know {}",
)  # fmt: skip
ORDERS: Final = (
    "calculate {}", "calculate {}", "compute {}", "evaluate {}", "work out {}", "solve {}", "tell me {}",
    "calculate this: {}", "give me the result of {}", "tell me what {} is", "use the calculator: {}", "I need {}",
)  # fmt: skip


def clause(rng: random.Random, expression: str) -> Clause:
    """Return a request to calculate `expression`."""
    if rng.random() < 0.55:
        return Clause(rng.choice(QUESTIONS), expression, QUESTION)
    return Clause(rng.choice(ORDERS), expression, ORDER)


def tool_result(rng: random.Random, expression: str, value: str) -> str:
    """Return what a calculator tool may return: mostly the bare number, else JSON or a sentence."""
    if rng.random() < 0.45:
        return value
    separators = rng.choice(((", ", ": "), (",", ":")))
    number = json.loads(value) if rng.random() < 0.8 and json.dumps(json.loads(value)) == value else value
    shapes: tuple[str, ...] = (
        *(json.dumps({key: number}, separators=separators) for key in ("result", "result", "value", "answer")),
        json.dumps({"expression": expression, "result": number}, separators=separators),
        json.dumps({"result": number, "expression": expression}, separators=separators),
        f"{expression} = {value}",
        f"The result is {value}",
        f"The result of {expression} is {value}.",
        f"Result: {value}",
    )
    return rng.choice(shapes)


def answer(expression: str, value: str) -> str:
    """Return what the model says about a result."""
    return f"The result of {expression} is {value}."


FAILED: Final = "Sorry, the calculate_math tool failed, so I cannot give you the result."
UNAVAILABLE: Final = "I cannot calculate that without the calculate_math tool."
REASONS: Final = (
    "division by zero", "invalid expression", "invalid syntax", "the expression is too long", "timeout",
    "number too large", "tool timed out after 5 s", "unsupported operator", "unexpected character at position 3",
)  # fmt: skip
