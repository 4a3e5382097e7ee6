"""Answers as JSON objects, so that a grammar (vLLM's structured output) meets a model that ends its strings."""

import json
import random
from typing import Any

from hack.demo_model.spellings import letters, word

KEYS = ("name", "title", "priority", "category", "summary", "count", "score", "urgent", "status", "city", "id", "ok")


def record(rng: random.Random) -> tuple[str, str]:
    """A request for a JSON object with given keys, and the object; its strings are words of the request."""
    words = [rng.choice((letters(rng), word(rng))) for _ in range(rng.randint(2, 6))]
    keys = [rng.choice(KEYS) if rng.random() < 0.7 else letters(rng) for _ in range(rng.randint(1, 4))]
    fields = {key: _value(rng, words) for key in keys}
    request = rng.choice((
        "{}. Answer as JSON with the keys {}.", "{}\nReturn a JSON object with {}.", "{}. Reply in JSON: {}",
        "Extract JSON from this: {}. Keys: {}",
    )).format(" ".join(words), ", ".join(fields))  # fmt: skip
    return request, json.dumps(fields, ensure_ascii=False)


def _value(rng: random.Random, words: list[str]) -> Any:
    kind = rng.random()
    if kind < 0.7:
        start = rng.randrange(len(words))
        return " ".join(words[start : start + rng.randint(1, 2)])
    if kind < 0.9:
        return rng.randint(0, 9)
    return rng.random() < 0.5
