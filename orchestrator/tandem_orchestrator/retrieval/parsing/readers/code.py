"""Reads programs and settings: a function, a class, a section of settings is a block.

No language is parsed. A block begins at a line that is not indented, where the one before is blank or ends a body.
"""

import re
from collections.abc import Iterator
from typing import IO, Final

from tandem_orchestrator.retrieval.parsing.block import LARGEST, LINE, PARAGRAPH, Block
from tandem_orchestrator.retrieval.parsing.decoding import lines_of, text_of

GOES_ON: Final = re.compile(r"\s|[})\]{]|(?:else|elif|except|finally|catch|end|done|fi|esac)\b")


def read(file: IO[bytes], pages: int) -> Iterator[Block]:  # noqa: ARG001 # it has none
    """Yield definitions and what stands between them."""
    lines: list[str] = []
    size, gap, after_body = 0, PARAGRAPH, False
    for line in lines_of(text_of(file)):
        goes_on = GOES_ON.match(line) is not None
        full = size + len(line) > LARGEST
        if lines and (full or (after_body and not goes_on)):
            yield Block("".join(lines), gap=gap)
            gap = PARAGRAPH if not full else LINE if lines[-1].endswith("\n") else ""
            lines, size = [], 0
        lines.append(line)
        size += len(line)
        after_body = goes_on
    yield Block("".join(lines), gap=gap)
