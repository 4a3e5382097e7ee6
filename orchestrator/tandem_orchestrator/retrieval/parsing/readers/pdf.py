"""Reads PDF: a page is a block, under its bookmark. Pictures of text are not read."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import IO, Final

import pypdfium2
import pypdfium2.raw

from tandem_orchestrator.retrieval.parsing.block import Block
from tandem_orchestrator.retrieval.parsing.file_refused import FileRefused
from tandem_orchestrator.retrieval.parsing.readers import refuse_more
from tandem_orchestrator.retrieval.parsing.readers.headings import BETWEEN, LONGEST

HYPHEN: Final = re.compile("[\ufffe\u0002]\\s*")  # as pdfium shows one that only ends a line
MOST_BOOKMARKS: Final = 10_000
DEEPEST_BOOKMARK: Final = 6


def read(file: IO[bytes], pages: int) -> Iterator[Block]:
    """Yield pages."""
    document = opened(file)
    number = len(document)
    if number > pages:
        raise refuse_more(pages)
    bookmarks = bookmarks_of(document)
    heading = ""
    for n in range(number):
        heading = bookmarks.get(n, heading)
        page = document[n]
        text_page = page.get_textpage()
        text = text_page.get_text_range().replace("\r\n", "\n")
        text_page.close()
        page.close()
        yield Block(HYPHEN.sub("", text), n + 1, heading)


def opened(file: IO[bytes]) -> pypdfium2.PdfDocument:
    """Return the document. Raises `FileRefused`."""
    try:
        return pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise FileRefused("invalid_file", "it is encrypted") from error
        raise FileRefused("invalid_file", "it is damaged: no PDF that can be opened") from error


def bookmarks_of(document: pypdfium2.PdfDocument) -> dict[int, str]:
    """Return the path of the first bookmark of each page that has one, by the page's index."""
    found: dict[int, str] = {}
    path: list[str] = []
    for bookmark in islice(document.get_toc(max_depth=DEEPEST_BOOKMARK), MOST_BOOKMARKS):
        path[bookmark.level :] = [" ".join(bookmark.get_title().split())[:LONGEST]]
        target = bookmark.get_dest()
        page = target.get_index() if target is not None else None
        if page is not None:
            found.setdefault(page, BETWEEN.join(filter(None, path)))
    return found
