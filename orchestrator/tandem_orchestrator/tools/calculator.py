"""calculate_math: arithmetic that a model should not do in its head."""

from typing import Any

from tandem_orchestrator.tools.expression import MAX_LENGTH, ExpressionError, evaluate
from tandem_orchestrator.tools.tool import ToolError


class Calculator:
    """Computes an expression; the result is a plain number, such as `56088`."""

    name = "calculate_math"
    description = (
        "Compute an arithmetic expression exactly and get the number back. Use it for every calculation. "
        "Operators: + - * / // % ** and parentheses; constants pi and e; functions sqrt, cbrt, exp, ln, log (natural, "
        "or log(x, base)), log10, log2, sin, cos, tan (radians), asin, acos, atan, degrees, radians, abs, round, "
        "floor, ceil, min, max, gcd, lcm, factorial. Example: (123 + 4.5) * 2 ** 3"
    )
    parameters: dict[str, Any] = {  # noqa: RUF012 # read only
        "type": "object",
        "properties": {
            "expression": {
                "type": "string",
                "description": "The expression, without words or units, for example 123 * 456",
                "minLength": 1,
                "maxLength": MAX_LENGTH,
            }
        },
        "required": ["expression"],
    }
    waits = False
    """It computes for a bounded time, and does nothing else."""

    async def call(self, arguments: dict[str, Any]) -> str:
        """Compute `expression`."""
        try:
            return evaluate(arguments["expression"])
        except ExpressionError as error:
            raise ToolError(str(error)) from None
