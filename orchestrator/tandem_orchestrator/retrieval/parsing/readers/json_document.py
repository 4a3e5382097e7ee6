"""Reads JSON: what is in an outer list or object, one by one. What is too large, too deep or no JSON is text."""

import json
from collections.abc import Iterator
from typing import IO, Any, Final

from tandem_orchestrator.retrieval.parsing.block import LINE, PARAGRAPH, Block
from tandem_orchestrator.retrieval.parsing.decoding import text_of
from tandem_orchestrator.retrieval.parsing.readers import plain_text
from tandem_orchestrator.retrieval.parsing.readers.json_values import shown

LARGEST: Final = 1 << 24  # characters; as Python objects up to 20 times as much


def read(file: IO[bytes], pages: int) -> Iterator[Block]:
    """Yield a block for each entry."""
    text = text_of(file)
    try:
        whole = text.read(LARGEST + 1)
        blocks = None if len(whole) > LARGEST else blocks_of(whole)
    except (ValueError, RecursionError):
        blocks = None
    if blocks is None:
        text.detach()  # else the file is closed with it
        return plain_text.read(file, pages)
    return iter(blocks)


def blocks_of(text: str) -> list[Block]:
    """Return the entries of a document. Raises `ValueError`, `RecursionError`."""
    value: Any = json.loads(text, parse_int=str, parse_float=str)  # numbers as they are written
    entries = value if isinstance(value, list) else [value]
    if isinstance(value, dict):
        entries = [{key: inner} for key, inner in value.items()]
    gap = PARAGRAPH if isinstance(value, list) else LINE
    return [Block(LINE.join(shown(entry)), gap=gap) for entry in entries]
