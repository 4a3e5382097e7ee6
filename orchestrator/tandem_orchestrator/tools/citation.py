"""What an answer cites of the passages that its model was given. Does no I/O.

A model cites a passage by its number, as in [1]; such marks stay in the text. Where it cites none, a sentence that has
a run of words in common with a passage, or a figure or name that only this passage has, is taken to come from it.
Passages are the most there is to read: they are only searched for a bounded number of samples of the answer.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tandem_orchestrator.tools.passage import Passage

MOST: Final = 100  # annotations of one text
MOST_OF_A_SENTENCE: Final = 2
RUN: Final = 5  # words in common
LEAST_RUN: Final = 20  # characters of such words, or they may be "as well as in the"
STRIDE: Final = 3  # words between the beginnings of two samples, so that no run of seven is missed
MOST_SAMPLES: Final = 24  # of an answer; each takes some 8 us for 32 KB of passages
MOST_CHARACTERS: Final = 262_144  # of all passages that are searched

_MARK: Final = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`"  # code, in which brackets are something else
    r"|\[(\d{1,4}(?:\s?,\s?\d{1,4}){0,20})\](?!\()"
    r"|【(\d{1,4})(?:†[^】\n]{0,80})?】",  # as models of OpenAI write it
    re.DOTALL,
)
_SENTENCE: Final = re.compile(r"[^.!?\n]+(?:[.!?](?!\s|\Z)[^.!?\n]*)*[.!?]*")
_TELLING: Final = re.compile(r"(?=.*\d).{5,}")
"""A word that hardly two texts have by chance."""
_AROUND: Final = ".,;:!?()[]{}\"'_…“”„«»\u2018\u2019"
"""What stands around words and is none of them."""
_EMPHASIS: Final = str.maketrans("", "", "*`")


def citations(text: str, passages: Sequence[Passage], new: int = 0) -> list[dict[str, Any]]:
    """Return the annotations of a text whose model was given numbered passages, in order.

    Any of them may be cited by its number; only from `new` on, counted from 0, are they looked for in the text.
    """
    if not text or not passages:
        return []
    found = [
        passages[number - 1].citation(start, end, start)
        for number, start, end in _marks(text)
        if 0 < number <= len(passages)
    ]
    return found[:MOST] or _shared(text, passages[new:])[:MOST]


def _marks(text: str) -> Iterator[tuple[int, int, int]]:
    """Yield the numbers that are cited, with where their mark begins and ends."""
    if "[" not in text and "【" not in text:
        return
    for mark in _MARK.finditer(text):
        for number in (mark[1] or mark[2] or "").split(","):
            if number:
                yield int(number), mark.start(), mark.end()


def _shared(text: str, passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """Return annotations at the ends of sentences that share words with passages."""
    sentences = [match.span() for match in _SENTENCE.finditer(text)] if passages else []
    samples = [(sample, span) for span in sentences for sample in _samples(text[slice(*span)])]
    every = -(-len(samples) // MOST_SAMPLES)
    cited: dict[tuple[int, int], list[int]] = {}
    texts = _searched(passages) if samples else []
    for sample, span in samples[:: every or 1]:
        number = _holder(sample, texts)
        if number is not None and number not in cited.setdefault(span, []):
            cited[span].append(number)
    return [
        passages[number].citation(start, end, end)
        for (start, end), numbers in cited.items()
        for number in numbers[:MOST_OF_A_SENTENCE]
    ]


def _samples(sentence: str) -> Iterator[str]:
    """Yield what may tell that a sentence is of a text: words that are telling, and some of its runs of words."""
    words = sentence.lower().translate(_EMPHASIS).split()
    yield from (bare for word in words if _TELLING.fullmatch(bare := word.strip(_AROUND)))
    last = len(words) - RUN
    for n in dict.fromkeys([*range(0, last, STRIDE), last]) if last >= 0 else ():
        run = " ".join(words[n : n + RUN]).strip(_AROUND)
        if len(run) >= LEAST_RUN:
            yield run


def _searched(passages: Sequence[Passage]) -> list[str]:
    texts = []
    left = MOST_CHARACTERS
    for passage in passages:
        texts.append(passage.text[:left].lower().replace("\n", " "))
        left -= len(texts[-1])
        if left <= 0:
            break
    return texts


def _holder(sample: str, texts: list[str]) -> int | None:
    """Return which text has a sample: a run of words the first, a single word the only one."""
    found = (n for n, text in enumerate(texts) if sample in text)
    if " " in sample:
        return next(found, None)
    holders = list(found)
    return holders[0] if len(holders) == 1 and _is_word(sample, texts[holders[0]]) else None


def _is_word(word: str, text: str) -> bool:
    """Return whether `word`, which is in `text`, does not stand within a longer one there."""
    start = text.index(word)
    around = text[max(0, start - 1) : start] + text[start + len(word) : start + len(word) + 1]
    return not any(each.isalnum() for each in around)
