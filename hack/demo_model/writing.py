"""How people write: with one of several words, in long or short forms, carefully or not."""

import random
import re
from typing import Final

from hack.demo_model import goods, people, quantities, spellings

CHOICE: Final = re.compile(r"\(([^()]*\|[^()]*)\)")
QUESTION: Final = re.compile(
    r"(how|where|what|which|when|why|who|can|could|may|do|does|is|are|will|would|has|should|please)\b"
)
SHORTER: Final = {
    "I have ": "I've ", "I am ": "I'm ", "do not ": "don't ", "does not ": "doesn't ", "is not ": "isn't ",
    "cannot ": "can't ", "I would ": "I'd ", "it is ": "it's ", "has not ": "hasn't ", "was not ": "wasn't ",
    "did not ": "didn't ", "will not ": "won't ", "we have ": "we've ", "we are ": "we're ", "what is ": "what's ",
    "there is ": "there's ", "have not ": "haven't ", "are not ": "aren't ",
}  # fmt: skip
MISSPELLED: Final = 0.35  # of the messages: misspelled, missing and strange words, so that no single word decides


def worded(rng: random.Random, text: str) -> str:
    """Return `text` with one of each choice, (a|b|), and with values in its gaps."""
    while CHOICE.search(text):
        text = CHOICE.sub(lambda found: rng.choice(found[1].split("|")), text)
    while "{thing}" in text:
        text = text.replace("{thing}", goods.good(rng), 1)
    text = text.replace("{name}", people.person(rng))
    if rng.random() < 0.5:
        for long, short in SHORTER.items():
            text = text.replace(long, short)
    while "{}" in text:
        text = text.replace("{}", quantities.digits(rng, rng.choice((1, 2, 2, 3, 4, 5))), 1)
    return re.sub(r" +(?=[ ,.!?:]|$)", "", text.strip())


def typed(rng: random.Random, sentences: list[str], *, loud: bool) -> str:
    """Return `sentences` in one of the ways that people type; `loud` ones mostly end with an exclamation mark."""
    kind = rng.random()
    end = "!" if loud and rng.random() < 0.6 else "."
    ended = [text if text[-1] in ".!?,:" else text + ("?" if QUESTION.match(text) else end) for text in sentences]
    if kind < 0.76:
        joint = " " if kind < 0.68 else "\n"
        text = joint.join(sentence[0].upper() + sentence[1:] for sentence in ended)
    elif kind < 0.86:
        text = rng.choice((" ", ", ", "... ")).join(sentence.rstrip(".") for sentence in sentences).lower()
    else:
        text = " ".join(ended)
        text = text.lower() if kind < 0.97 else text.upper()
    text = text.replace("'", "") if rng.random() < 0.15 else text
    return _misspelled(rng, text) if rng.random() < MISSPELLED else text


def _misspelled(rng: random.Random, text: str) -> str:
    """Return `text` with about one word of ten missing, misspelled or replaced."""
    return " ".join(_bad(rng, word) if rng.random() < 0.1 else word for word in text.split(" "))


def _bad(rng: random.Random, word: str) -> str:
    kind = rng.random()
    if kind < 0.3 or len(word) < 4:
        return ""
    if kind < 0.6:
        return spellings.letters(rng)
    at = rng.randrange(1, len(word) - 1)
    return word[:at] + rng.choice(("", word[at] * 2, word[at + 1] + word[at])) + word[at + 1 :]
