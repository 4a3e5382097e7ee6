"""A guardrail that is ready to be used."""

from dataclasses import dataclass

from tandem_contract.config import GuardedText, GuardrailAction

from tandem_orchestrator.guardrails.found import Finder, Judge


@dataclass(frozen=True, slots=True)
class Rail:
    """One of the configuration's, with what it looks by: a finder or a judge."""

    name: str
    on: frozenset[GuardedText]
    action: GuardrailAction
    window: int
    """Characters of a streamed output that wait."""
    open: bool
    """Whether a text passes that cannot be judged."""
    finder: Finder | None = None
    judge: Judge | None = None
