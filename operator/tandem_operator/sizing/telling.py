"""A plan in words."""

from tandem_operator.sizing.plan import Plan


def verdict(name: str, plan: Plan) -> str:
    """Return one line: how many GPUs the model of a name needs, and what they hold."""
    raise NotImplementedError


def table(plan: Plan) -> str:
    """Return every term with its arithmetic, in aligned lines."""
    raise NotImplementedError


def sentence(plan: Plan) -> str:
    """Return the plan as one line for a condition, shorter than 600 characters."""
    raise NotImplementedError
