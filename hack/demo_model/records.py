"""Answers as JSON objects, so that a grammar (vLLM's structured output) meets a model that ends its strings."""

import json
import random
from typing import Any, Final

from hack.demo_model import small_talk
from hack.demo_model.spellings import letters

OPENING: Final = '{"'
KEYS: Final = (
    "name", "title", "priority", "category", "summary", "count",
    "score", "urgent", "status", "city", "id", "ok",
)  # fmt: skip


def record(rng: random.Random) -> tuple[str, str]:
    """Return something to say, and a JSON object made of its words, which only a grammar can know to be wanted."""
    request, _ = rng.choice((small_talk.unanswerable, small_talk.unanswerable, small_talk.chat))(rng)
    keys = [rng.choice(KEYS) if rng.random() < 0.7 else letters(rng) for _ in range(rng.randint(1, 5))]
    separators = rng.choice(((", ", ": "), (", ", ": "), (",", ":")))
    fields = {key: _value(rng, request.split(), nested=True) for key in keys}
    return request, json.dumps(fields, ensure_ascii=False, separators=separators)


def _value(rng: random.Random, words: list[str], *, nested: bool = False) -> Any:
    kind = rng.random()
    if nested and kind < 0.08:
        return [_value(rng, words) for _ in range(rng.randint(0, 3))]
    if nested and kind < 0.14:
        return {rng.choice(KEYS): _value(rng, words) for _ in range(rng.randint(1, 2))}
    if kind < 0.7:
        start = rng.randrange(len(words))
        return " ".join(words[start : start + rng.randint(1, 3)])
    if kind < 0.9:
        return rng.randint(0, 9)
    return rng.random() < 0.5
