"""What kinds of files there are, and of which one a file is: by its content, and by its name where that is text."""

from importlib.util import find_spec
from pathlib import PurePath
from typing import Final

from tandem_orchestrator.retrieval.parsing.decoding import is_binary
from tandem_orchestrator.retrieval.parsing.file_refused import FileRefused

HEAD_BYTES: Final = 65_536
EXTRA: Final = "tandem-orchestrator[documents]"
LIBRARIES: Final = {"pdf": "pypdfium2", "docx": "docx", "pptx": "pptx", "xlsx": "python_calamine"}
"""What reads a kind: import names."""
OFFICE: Final = {"word/document.xml": "docx", "ppt/presentation.xml": "pptx", "xl/workbook.xml": "xlsx"}
MACROS: Final = "vbaProject.bin"
BY_EXTENSION: Final = {
    "md": "markdown", "markdown": "markdown", "mdx": "markdown",
    "html": "html", "htm": "html", "xhtml": "html",
    "csv": "csv", "tsv": "csv", "tab": "csv",
    "json": "json", "jsonl": "jsonl", "ndjson": "jsonl",
}  # fmt: skip
CODE: Final = frozenset({
    "bash", "c", "cc", "cfg", "clj", "cmake", "conf", "cpp", "cs", "css", "cxx", "dart", "dockerfile", "env", "erl",
    "ex", "exs", "f90", "fish", "go", "gradle", "graphql", "groovy", "h", "hpp", "hs", "ini", "java", "jl", "js",
    "jsx", "kt", "kts", "less", "lua", "m", "makefile", "mjs", "ml", "mm", "nix", "php", "pl", "pm", "properties",
    "proto", "ps1", "py", "pyi", "r", "rb", "rs", "sass", "scala", "scss", "sh", "sql", "svelte", "swift", "tf",
    "toml", "ts", "tsx", "vb", "vue", "xml", "yaml", "yml", "zig", "zsh",
})  # fmt: skip
"""Extensions, and names of files that have none."""


def extension_of(filename: str) -> str:
    """Return what a file's name says of its kind: "pdf" of "a/b.PDF", "makefile" of "Makefile"; no path, no dots."""
    name = PurePath(filename.replace("\\", "/")).name.lower()
    return name.rpartition(".")[2]


def kind_of(head: bytes, extension: str) -> str:
    """Return "zip", "pdf" or a kind of text, by the first `HEAD_BYTES` of a file. Raises `FileRefused`."""
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):  # OLE, which Office also packs encrypted files in
        if extension in LIBRARIES or "EncryptedPackage".encode("utf-16-le") in head:
            raise FileRefused("invalid_file", "it is encrypted, or of an old Office format")
        raise FileRefused("unsupported_file", "it is of an old Office format: save it as docx, pptx or xlsx")
    if is_binary(head):
        raise FileRefused("unsupported_file", "it is neither text nor a document of a known kind")
    if extension in LIBRARIES and head:
        raise FileRefused("invalid_file", f"its name ends in .{extension}, and it is no such file")
    return text_kind_of(head, extension)


def text_kind_of(head: bytes, extension: str) -> str:
    """Return the kind of a text."""
    if extension in CODE:
        return "code"
    if kind := BY_EXTENSION.get(extension):
        return kind
    start = head[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if extension not in {"txt", "text"} and start.startswith((b"<!doctype html", b"<html")):
        return "html"
    return "plain"


def packed_kind_of(names: list[str]) -> str:
    """Return the kind of a zip file, by the names in it. Raises `FileRefused`."""
    if any(name.endswith(MACROS) for name in names):
        raise FileRefused("unsupported_file", "it has macros: save it without them, as docx, pptx or xlsx")
    for name, kind in OFFICE.items():
        if name in names:
            return kind
    raise FileRefused("unsupported_file", "it is packed: add the files in it one by one")


def refuse_missing(kind: str) -> None:
    """Raise `FileRefused` where the library for a kind is not installed."""
    if kind in LIBRARIES and find_spec(LIBRARIES[kind]) is None:
        raise FileRefused("unsupported_file", f"reading {kind} files needs {EXTRA}, which is not installed here")


def missing() -> list[str]:
    """Return a line that tells which kinds of files cannot be read here; none where all can."""
    absent = {kind: library for kind, library in LIBRARIES.items() if find_spec(library) is None}
    if not absent:
        return []
    libraries = f"{', '.join(absent.values())} {'is' if len(absent) == 1 else 'are'} missing"
    return [f"{', '.join(absent)} files are not read: {EXTRA} is not installed ({libraries})"]
