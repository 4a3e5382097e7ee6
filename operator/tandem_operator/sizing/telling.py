"""A plan in words."""

from tandem_operator.sizing.plan import Plan
from tandem_operator.sizing.units import gib


def verdict(name: str, plan: Plan) -> str:
    """Return one line: how many GPUs the model of a name needs, and what they hold."""
    return f"{name} {sentence(plan)}"


def sentence(plan: Plan) -> str:
    """Return the plan as one line for a condition, shorter than 600 characters."""
    wanted = plan.wanted
    verb = "fits" if wanted.gpus or wanted.tensor or wanted.pipeline else "needs"
    stages = f", pipeline {plan.pipeline} on {plan.nodes} nodes" if plan.nodes > 1 else f", pipeline {plan.pipeline}"
    at_once = "1 request" if plan.concurrency == 1 else f"{plan.concurrency:,} requests"
    at_least = "at least " if plan.memory.shape.at_most else ""
    return (
        f"{verb} {plan.gpus} × {plan.gpu.name}: tensor {plan.tensor}{stages if plan.pipeline > 1 else ''},"
        f" maxModelLen {plan.max_model_len}, {at_least}{at_once} of that length at once"
    )


def arithmetic(plan: Plan) -> str:
    """Return the plan with what its memory is taken by, in one line for a condition."""
    budget, *taken, room, _ = plan.terms
    uses = ", ".join(f"{term.name} {gib(term.size)}" for term in taken)
    notes = "".join(f"; {note}" for note in plan.notes)
    return (
        f"{sentence(plan)}; of {gib(budget.size)} on each ({budget.how}): {uses}; {gib(room.size)} are left for"
        f" {plan.kv_tokens:,} tokens{notes}"
    )


def table(plan: Plan) -> str:
    """Return every term with its arithmetic, in aligned lines, and the notes."""
    names = max(len(term.name) for term in plan.terms)
    sizes = max(len(gib(term.size)) for term in plan.terms)
    lines = (f"  {term.name:<{names}}  {gib(term.size):>{sizes}}  {term.how}" for term in plan.terms)
    return "\n".join(["On each GPU:", *lines, *(f"Note: {note}." for note in plan.notes)])
