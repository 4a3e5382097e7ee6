"""Regular expressions that take time in proportion to a text, whatever the text: they may be held against strangers'.

The engine is that of Rust, which pydantic has: no backtracking, hence no look-around and no references to groups.
"""

import re
from collections.abc import Callable, Iterable

from pydantic_core import SchemaError, SchemaValidator, core_schema

Matches = Callable[[str], bool]
"""Tells whether a text has the pattern anywhere in it."""


def compiled(pattern: str) -> Matches:
    """Return what looks for the pattern. Raises `ValueError` for one that is wrong, or needs more than 10 MiB."""
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex")).isinstance_python
    except SchemaError as error:
        said = " ".join(str(error).partition("SchemaError:")[2].split())
        raise ValueError(f"is no regular expression that can be used here: {said}") from None


def any_word(words: Iterable[str]) -> str:
    """Return the pattern of texts that have one of these words or phrases, in upper or lower case.

    A word does not count inside of another one where it begins and ends with what words are made of.
    """
    return "(?i)" + "|".join(map(_whole, words))


def _whole(word: str) -> str:
    parts = word.split()
    begin = r"\b" if parts[0][0].isalnum() else ""
    end = r"\b" if parts[-1][-1].isalnum() else ""
    return begin + r"\s+".join(map(re.escape, parts)) + end
