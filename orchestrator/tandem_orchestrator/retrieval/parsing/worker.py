"""Reads one file, in a process of its own: `python -m tandem_orchestrator.retrieval.parsing.worker JOB < FILE`."""

import codecs
import gc
import os
import sys
from collections.abc import Iterator
from typing import IO, Final

from tandem_orchestrator.retrieval.parsing import archive, sandbox
from tandem_orchestrator.retrieval.parsing.block import Block
from tandem_orchestrator.retrieval.parsing.file_refused import FileRefused
from tandem_orchestrator.retrieval.parsing.job import END, Job, chunks_line, refusal_line
from tandem_orchestrator.retrieval.parsing.kinds import HEAD_BYTES, kind_of, packed_kind_of, refuse_missing
from tandem_orchestrator.retrieval.parsing.limits import ParseLimits
from tandem_orchestrator.retrieval.parsing.readers import Read, reader_of

ENCODINGS: Final = ("ascii", "cp1252", "cp437", "latin-1", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
"""Imported beforehand, as all that libraries may decode with."""
LINE_CHARACTERS: Final = 65_536
LINE_CHUNKS: Final = 64
MIB: Final = 1 << 20


def main() -> None:
    """Do the job; answer on standard output."""
    job = Job.decode(sys.argv[1])
    sandbox.depend_on(job.parent)
    sandbox.bound(job.limits)
    try:
        with open(0, "rb", closefd=False) as file:
            for line in answers(file, job):
                write(line)
        write(END)
    except FileRefused as refused:
        write(refusal_line(refused))
    except MemoryError:
        gc.collect()
        write(refusal_line(out_of_memory(job.limits)))
    except Exception as error:  # noqa: BLE001 # libraries raise anything for a damaged file
        write(refusal_line(FileRefused("invalid_file", f"it is damaged ({type(error).__name__})")))


def answers(file: IO[bytes], job: Job) -> Iterator[bytes]:
    """Yield lines of pieces. Raises `FileRefused`."""
    read, packed = reader_for(file, job.extension)
    for encoding in ENCODINGS:
        codecs.lookup(encoding)
    sandbox.confine(job.limits)
    if packed:
        archive.weigh(file, job.limits.unpacked_bytes)
    file.seek(0)
    blocks = bounded(read(file, job.limits.pages), job.limits)
    some = []
    characters = 0
    for chunk in job.chunker.chunks(blocks):
        some.append(chunk)
        characters += len(chunk.text)
        if characters > LINE_CHARACTERS or len(some) == LINE_CHUNKS:
            yield chunks_line(some)
            some, characters = [], 0
    if some:
        yield chunks_line(some)


def reader_for(file: IO[bytes], extension: str) -> tuple[Read, bool]:
    """Return what reads a file, and whether the file is packed. Raises `FileRefused`."""
    kind = kind_of(file.read(HEAD_BYTES), extension)
    packed = kind == "zip"
    if packed:
        kind = packed_kind_of(archive.names_in(file))
    refuse_missing(kind)
    return reader_of(kind), packed


def bounded(blocks: Iterator[Block], limits: ParseLimits) -> Iterator[Block]:
    """Yield blocks. Raises `FileRefused` where there are too many, or no text in any."""
    characters, empty = 0, True
    for block in blocks:
        characters += len(block.text)
        if characters > limits.characters:
            raise FileRefused("invalid_file", f"it has more than {limits.characters} characters of text")
        empty = empty and not block.text.strip()
        yield block
    if empty:
        raise FileRefused("invalid_file", "it holds no text")


def out_of_memory(limits: ParseLimits) -> FileRefused:
    """Return the refusal of a file that takes too much."""
    return FileRefused("invalid_file", f"reading it needs more than {limits.memory_bytes // MIB} MiB of memory")


def write(line: bytes) -> None:
    """Write all of a line; wait while nobody takes it."""
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(1, rest) :]


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # what is open and kept goes with the process
