"""The corpus as files of many kinds, as people upload them."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from textwrap import fill
from typing import Any, Final

from tests import documents
from tests.retrieval_corpus import TEXTS, Passage, files, passages

LINE: Final = 72  # characters, on pages of PDF
HEADED: Final = ("md", "docx", "html", "pptx")  # kinds that say what is a heading


def made() -> dict[str, bytes]:
    """The contents of all files by their names, which are those of the corpus with other endings."""
    found = {}
    for file in files():
        of_file = [passage for passage in passages() if passage.file == file.name]
        kind, make = KINDS[file.stem]
        found[f"{file.stem}.{kind}"] = make(of_file)
    return found


def answers(passage: Passage, filename: str, piece: Mapping[str, Any]) -> bool:
    """Whether a found piece of one of these files has the beginning of a passage, and says where it stands."""
    stem, _, kind = filename.partition(".")
    placed = kind not in HEADED or piece.get("heading", "").split(" > ")[-1] == passage.heading
    return placed and passage.in_chunk(f"{stem}.md", " ".join(piece["text"].split()))


def md(of_file: Sequence[Passage]) -> bytes:
    return (TEXTS / of_file[0].file).read_bytes()


def txt(of_file: Sequence[Passage]) -> bytes:
    return "\n\n".join(f"{each.heading}\n\n{each.text}" for each in of_file).encode()


def html(of_file: Sequence[Passage]) -> bytes:
    return "".join(f"<h2>{each.heading}</h2><p>{each.text}</p>" for each in of_file).encode()


def table(of_file: Sequence[Passage]) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows([["name", "notes"], *([each.heading, each.text] for each in of_file)])
    return file.getvalue().encode()


def records(of_file: Sequence[Passage]) -> bytes:
    return json.dumps([{"name": each.heading, "notes": each.text} for each in of_file]).encode()


def pdf(of_file: Sequence[Passage]) -> bytes:
    return documents.pdf_file(*(f"{each.heading}\n{fill(each.text, LINE)}" for each in of_file))


def docx(of_file: Sequence[Passage]) -> bytes:
    return documents.docx_file(
        *(part for each in of_file for part in (("Heading 1", each.heading), ("Normal", each.text)))
    )


def pptx(of_file: Sequence[Passage]) -> bytes:
    return documents.pptx_file(*((each.heading, each.text, "") for each in of_file))


def xlsx(of_file: Sequence[Passage]) -> bytes:
    return documents.xlsx_file(Notes=[["name", "notes"], *([each.heading, each.text] for each in of_file)])


KINDS: Final[Mapping[str, tuple[str, Callable[[Sequence[Passage]], bytes]]]] = {
    "astronomy": ("md", md),
    "biology": ("pdf", pdf),
    "deutsch": ("docx", docx),
    "francais": ("html", html),
    "geography": ("csv", table),
    "handbook": ("txt", txt),
    "history": ("pptx", pptx),
    "kitchen": ("json", records),
    "nihongo": ("xlsx", xlsx),
}
