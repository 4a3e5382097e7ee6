"""Prompts written in Jinja, of which neither who writes them nor what is put into them may do more than make a text."""

from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

_environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)  # no HTML


class PromptError(Exception):
    """A prompt that cannot be made of these values; the message says why."""


class Prompt:
    """A template that is known to be harmless."""

    def __init__(self, text: str) -> None:
        self._template = _environment.from_string(text)

    def written(self, values: Mapping[str, Any]) -> str:
        """Return the prompt. Raises `PromptError`."""
        try:
            return self._template.render(values)
        except TemplateError as error:
            raise PromptError(str(error)) from None


def compiled(text: str) -> Prompt:
    """Return the template. Raises `ValueError`, which says in which line is what cannot be used."""
    try:
        return Prompt(text)
    except TemplateError as error:
        raise ValueError(f"is no template that can be used: {error}") from None
