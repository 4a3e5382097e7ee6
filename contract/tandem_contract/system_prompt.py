"""What a model is told before anything that a client says: a text, or a template where it has braces of one."""

from functools import lru_cache
from typing import Final

from tandem_contract.prompt_template import Prompt, PromptError, compiled

VARIABLES: Final = ("tenant", "model", "date")
"""What it may name: who asks, whom, and the day in UTC, e.g. 2026-11-30. It is the same all day, as engines keep what
requests begin with."""
_BEGINNINGS: Final = ("{{", "{%")


@lru_cache(256)
def template(text: str) -> Prompt | None:
    """Return the template; None for a text that is told as it is. Raises `ValueError`."""
    return compiled(text) if any(beginning in text for beginning in _BEGINNINGS) else None


def checked(text: str) -> str:
    """Return a text that can be told to a model. Raises `ValueError`."""
    prompt = template(text)
    if prompt is None:
        return text
    if unknown := sorted(prompt.variables - set(VARIABLES)):
        raise ValueError(f"there is no `{unknown[0]}` here, but {', '.join(VARIABLES)}")
    try:
        written(text, "tenant", "model", "2026-11-30")
    except PromptError as error:
        raise ValueError(str(error)) from None
    return text


@lru_cache(256)
def written(text: str, tenant: str, model: str, date: str) -> str:
    """Return what is told. Raises `PromptError`."""
    prompt = template(text)
    return text if prompt is None else prompt.written({"tenant": tenant, "model": model, "date": date})
