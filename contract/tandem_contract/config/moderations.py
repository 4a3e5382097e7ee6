"""`moderations`: what `/v1/moderations` answers by."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from tandem_contract.config.base import Name, Section
from tandem_contract.text_pattern import TextPattern, any_word


def _pattern(value: str) -> str:
    TextPattern(value)
    return value


Word = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"\S")]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=1024), AfterValidator(_pattern)]


class ModerationRule(Section):
    """What flags a text without asking a model: any of its words, any of its patterns."""

    category: Annotated[str, StringConstraints(pattern=r"^[a-z][-a-z0-9]*(/[a-z][-a-z0-9]*)?$", max_length=64)]
    """What such a text is called: a category of OpenAI's, such as violence or self-harm/intent, or one of your own."""
    words: list[Word] = Field(default=[], max_length=1000)
    """Words and phrases, in upper or lower case; not inside of other words."""
    patterns: list[Pattern] = Field(default=[], max_length=64)
    """Regular expressions in RE2's syntax, which has no look-around; (?i) in front ignores case."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.words or self.patterns):
            raise ValueError("set words, patterns or both")
        if self.words:
            TextPattern(any_word(self.words))
        return self


class Moderations(Section):
    """How texts are judged at /v1/moderations. With neither, only models whose engines have that endpoint judge."""

    model: Name | None = None
    """A guard model among those that are served, which answers as Llama Guard does."""
    rules: list[ModerationRule] = Field(default=[], max_length=64)
    """Judge beside the model, or alone."""
