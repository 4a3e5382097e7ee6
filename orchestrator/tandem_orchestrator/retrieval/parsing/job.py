"""What a worker is told to do, and what it answers: JSON, a line each."""

from typing import Final, NamedTuple

import orjson

from tandem_orchestrator.retrieval.chunk import Chunk
from tandem_orchestrator.retrieval.parsing.chunker import Chunker
from tandem_orchestrator.retrieval.parsing.file_refused import FileRefused
from tandem_orchestrator.retrieval.parsing.limits import ParseLimits

MOST_LINE_BYTES: Final = 1 << 22
END: Final = b"{}\n"


class Job(NamedTuple):
    """One file; it is the worker's standard input."""

    parent: int
    """The number of the process that waits for it."""
    extension: str
    """See `kinds.extension_of`; of the file's name nothing else is needed."""
    limits: ParseLimits
    chunker: Chunker

    def encode(self) -> str:
        """Return it as the worker's argument."""
        return orjson.dumps(self, default=tuple).decode()

    @classmethod
    def decode(cls, text: str) -> "Job":
        """Read an argument."""
        parent, extension, limits, chunker = orjson.loads(text)
        return cls(parent, extension, ParseLimits(*limits), Chunker(*chunker))


def chunks_line(chunks: list[Chunk]) -> bytes:
    """Return an answer with pieces."""
    return orjson.dumps(chunks, default=tuple) + b"\n"


def refusal_line(refused: FileRefused) -> bytes:
    """Return an answer that ends the work."""
    return orjson.dumps({"code": refused.code, "message": str(refused)}) + b"\n"


def answer_of(line: bytes) -> list[Chunk] | None:
    """Return pieces, or None at the end. Raises `FileRefused`; `ValueError` and `TypeError` for what is no answer."""
    answer = orjson.loads(line)
    if isinstance(answer, list):
        return [chunk_of(*fields) for fields in answer]
    if answer:
        raise FileRefused(
            "unsupported_file" if answer["code"] == "unsupported_file" else "invalid_file", str(answer["message"])[:500]
        )
    return None


def chunk_of(text: object, page: object, heading: object, tokens: object) -> Chunk:
    """Return a piece whose fields are what they should be: a worker may have been taken over. Raises `TypeError`."""
    if not (isinstance(text, str) and isinstance(heading, str) and isinstance(tokens, int)):
        raise TypeError
    if not (page is None or isinstance(page, int)):
        raise TypeError
    return Chunk(text, page, heading, tokens)
