"""Why something is not ready."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One cause, with its remedy."""

    reason: str
    message: str
    terminal: bool = False
    """Whether it stays until a person does something."""
    about_model: bool = False
    """Whether the model's source is to blame."""
