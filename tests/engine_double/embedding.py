"""An embedding model of a double: equal texts get equal vectors, in every way that an engine may write them."""

import base64
import random
import re
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.engine_double.reply import Reply

WORD = re.compile(r"\w+")

Entries = list[dict[str, Any]]


@dataclass
class Embedding:
    """`engine.rule = Embedding()` makes the double such a model."""

    dimension: int = 8
    length: float = 1.0
    """Of the vectors; not all models normalise them."""
    only_lists: bool = False
    """Whether it does not know `encoding_format`, and answers lists whatever that says."""
    refuses: tuple[str, ...] = ()
    """Fields that it answers with 400."""
    characters: int | None = None
    """Most of a text; a request with a longer one is refused."""
    texts: int | None = None
    """Most of a request; one with more is refused."""
    spoil: Callable[[Entries], Entries] | None = None
    """Changes `data` before it goes out."""
    seconds_a_text: float = 0.0
    """It embeds one text after the other, also of several requests."""

    def __post_init__(self) -> None:
        self._free_at = 0.0

    def __call__(self, request: dict[str, Any]) -> Reply:
        texts = request["input"]
        if problem := self._problem(request, texts):
            error = {"message": problem, "type": "BadRequestError", "param": None, "code": 400}
            return Reply(status=400, error={"error": error})
        in_base64 = request.get("encoding_format") == "base64" and not self.only_lists
        dimension = request.get("dimensions") or self.dimension
        entries: Entries = []
        for index, text in enumerate(texts):
            numbers = array("f", [self.length * number for number in vector_of(text, dimension)])
            value = base64.b64encode(numbers.tobytes()).decode() if in_base64 else list(numbers)
            entries.append({"object": "embedding", "index": index, "embedding": value})
        if self.spoil is not None:
            entries = self.spoil(entries)
        return Reply(entries=entries, before_first_byte=self._wait(len(texts)))

    def _problem(self, request: dict[str, Any], texts: list[str]) -> str | None:
        for name in self.refuses:
            if name in request:
                return f"Unsupported parameter: '{name}'"
        if self.texts is not None and len(texts) > self.texts:
            return f"batch size {len(texts)} > maximum allowed batch size {self.texts}"
        if self.characters is not None and any(len(text) > self.characters for text in texts):
            return f"This model's maximum context length is {self.characters} tokens."
        return None

    def _wait(self, texts: int) -> float:
        now = time.monotonic()
        self._free_at = max(self._free_at, now) + texts * self.seconds_a_text
        return self._free_at - now


def vector_of(text: str, dimension: int = 8) -> list[float]:
    """What it makes of a text, of length 1: texts that share words lie near each other."""
    numbers = [0.0] * dimension
    for word in WORD.findall(text.lower()) or [text]:
        made = random.Random(word)
        numbers = [number + made.gauss(0, 1) for number in numbers]
    length = sum(number * number for number in numbers) ** 0.5
    return [number / length for number in numbers]
