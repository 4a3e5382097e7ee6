"""Reads HTML: what a person sees of a page. lxml reads it where it is installed, and Python's own parser elsewhere."""

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import IO, Final, Protocol

try:
    from lxml import etree
except ImportError:
    etree = None

from tandem_orchestrator.retrieval.parsing.block import LARGEST, Block
from tandem_orchestrator.retrieval.parsing.decoding import text_of
from tandem_orchestrator.retrieval.parsing.readers.headings import Headings

UNSEEN: Final = frozenset({"script", "style", "template", "noscript", "iframe", "object", "svg", "math"})
PARAGRAPHS: Final = frozenset({
    "address", "article", "aside", "blockquote", "body", "dd", "details", "dialog", "div", "dl", "dt", "fieldset",
    "figcaption", "figure", "footer", "form", "head", "header", "hr", "html", "main", "nav", "ol", "p", "pre",
    "section", "summary", "table", "tbody", "tfoot", "thead", "title", "ul",
})  # fmt: skip
LINES: Final = {"br": "\n", "li": "\n- ", "tr": "\n", "option": "\n"}
CELLS: Final = frozenset({"td", "th"})
HEADINGS: Final = {f"h{n}": n for n in range(1, 7)}
BLANKS: Final = re.compile(r"\s+")
AROUND_BREAK: Final = re.compile(r" *\n *")


class Page:
    """Takes what a parser finds, in order; a parser's target."""

    def __init__(self) -> None:
        self.found: list[Block] = []
        self._headings = Headings()
        self._text: list[str] = []
        self._size = 0
        self._unseen: list[str] = []
        self._verbatim = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:  # noqa: ARG002 # as lxml has it
        """Take the beginning of an element."""
        if tag in UNSEEN:
            self._unseen.append(tag)
        if tag in PARAGRAPHS or tag in HEADINGS:
            self._end()
        self._verbatim += tag == "pre"
        if tag in LINES:
            self._text.append(LINES[tag])

    def end(self, tag: str) -> None:
        """Take the end of an element."""
        if tag in UNSEEN and tag in self._unseen:
            while self._unseen.pop() != tag:
                pass
        if tag in HEADINGS:
            if title := self._taken():
                self._headings.begin(HEADINGS[tag], title)
        elif tag in PARAGRAPHS:
            self._end()
        elif tag in CELLS:
            self._text.append(" | ")
        if tag == "pre":
            self._verbatim = max(0, self._verbatim - 1)

    def data(self, text: str) -> None:
        """Take text."""
        if not self._unseen:
            self._text.append(text if self._verbatim else BLANKS.sub(" ", text))
            self._size += len(text)
            if self._size > LARGEST:
                self._end()

    def close(self) -> None:
        """Take the end of the page."""
        self.found.append(self._headings.block(self._taken()))

    def _end(self) -> None:
        if text := self._taken():
            self.found.append(self._headings.block(text))

    def _taken(self) -> str:
        text = "".join(self._text)
        self._text, self._size = [], 0
        if not self._verbatim:
            text = AROUND_BREAK.sub("\n", text).strip(" \n|")
        return text.rstrip()


class Parser(Protocol):
    """Both parsers."""

    def feed(self, data: str, /) -> None:
        """Take a part of a page."""

    def close(self) -> None:
        """Take its end."""


class _OwnParser(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._page.start(tag, {})

    def handle_endtag(self, tag: str) -> None:
        self._page.end(tag)

    def handle_data(self, data: str) -> None:
        self._page.data(data)

    def close(self) -> None:
        super().close()
        self._page.close()


def parser_for(page: Page) -> Parser:
    """Return the parser that there is."""
    if etree is None:
        return _OwnParser(page)
    parser: Parser = etree.HTMLParser(target=page, no_network=True, remove_comments=True, remove_pis=True)
    return parser


def read(file: IO[bytes], pages: int) -> Iterator[Block]:  # noqa: ARG001 # it has one
    """Yield paragraphs under headings, lists and tables."""
    text, page = text_of(file), Page()
    parser = parser_for(page)
    while some := text.read(LARGEST):
        parser.feed(some)
        yield from page.found
        page.found = []
    parser.close()
    yield from page.found
