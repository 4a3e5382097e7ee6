"""Looks into a packed file before any library opens it: what is in it, and how large it really is."""

import sys
import zipfile
import zlib
from copy import copy
from typing import IO, Final

from tandem_orchestrator.retrieval.parsing.file_refused import FileRefused

MOST_ENTRIES: Final = 20_000
READ_BYTES: Final = 1 << 16
ENCRYPTED: Final = 0x1
PLAIN: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
BROKEN: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OverflowError, ValueError, OSError)


def names_in(file: IO[bytes]) -> list[str]:
    """Return the names of the entries. Raises `FileRefused`."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except BROKEN as error:
        raise FileRefused("invalid_file", "it is damaged: it begins as a packed file and is none") from error
    if len(entries) > MOST_ENTRIES:
        raise FileRefused("invalid_file", f"it has more than {MOST_ENTRIES} files packed in it")
    return [entry.filename for entry in entries]


def weigh(file: IO[bytes], most: int) -> None:
    """Unpack all of a file, keeping nothing of it; raise `FileRefused` if it is more than `most` bytes, or damaged.

    The sizes that it states are not believed: an entry is read to its real end.
    """
    total = 0
    try:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                size = 0
                if entry.flag_bits & ENCRYPTED:
                    raise FileRefused("invalid_file", "it is encrypted")
                if entry.compress_type not in PLAIN:
                    raise FileRefused("invalid_file", f"{shown(entry)} is packed in an unknown way")
                endless = copy(entry)
                endless.file_size = sys.maxsize
                with archive.open(endless) as unpacked:
                    while some := unpacked.read(READ_BYTES):
                        size += len(some)
                        if total + size > most:
                            raise FileRefused("invalid_file", f"it unpacks to more than {most} bytes")
                if size != entry.file_size:
                    raise FileRefused("invalid_file", f"it is damaged: {shown(entry)} is not as large as stated")
                total += size
    except BROKEN as error:
        raise FileRefused("invalid_file", "it is damaged: it cannot be unpacked") from error


def shown(entry: zipfile.ZipInfo) -> str:
    """Return an entry's name, fit for a message."""
    return ascii(entry.filename[:80])
