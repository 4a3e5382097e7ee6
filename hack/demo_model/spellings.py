"""Invented words, spelled from random letters so that the model learns to copy letters and not syllables."""

import random
import string
from typing import Final

VOWELS: Final = "aeiou"
CONSONANTS: Final = "bcdfghjklmnpqrstvwxyz"
ACCENTED: Final = "áàâãäåçéèêëíïñóôõöøúüšžłęąćőžßýæ"


def _pronounceable(rng: random.Random, length: int) -> str:
    return "".join(rng.choice((CONSONANTS, VOWELS)[i % 2]) for i in range(length))


def letters(rng: random.Random) -> str:
    """Return a lower-case string of 2 to 12 letters; some use few different letters, some have accents."""
    length = rng.choice((2, 3, 3, 4, 4, 5, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 9, 10, 11, 12))
    kind = rng.random()
    if kind < 0.3:
        return _pronounceable(rng, length)
    alphabet = string.ascii_lowercase
    if kind < 0.42:
        alphabet = "".join(rng.sample(alphabet, 3))
    elif kind < 0.5:
        alphabet += "".join(rng.sample(ACCENTED, 8))
    return "".join(rng.choices(alphabet, k=length))


def word(rng: random.Random) -> str:  # noqa: PLR0911 one return for each kind of word
    """Return a capitalised word; seldom in another case, or joined by a hyphen or an apostrophe."""
    kind = rng.random()
    text = letters(rng)
    if kind < 0.72:
        return text.capitalize()
    if kind < 0.80:
        return f"{text.capitalize()}-{letters(rng).capitalize()}"
    if kind < 0.83:
        return f"{text.capitalize()}-{rng.choice(('on', 'sur', 'am', 'en', 'le'))}-{letters(rng).capitalize()}"
    if kind < 0.88:
        return f"{rng.choice(string.ascii_uppercase)}'{text.capitalize()}"
    if kind < 0.91:
        return f"{text.capitalize()}'{letters(rng)[:3]}"
    if kind < 0.95:
        return text
    if kind < 0.97:
        return text.upper()
    return "".join(rng.choice((letter, letter.upper())) for letter in text)
