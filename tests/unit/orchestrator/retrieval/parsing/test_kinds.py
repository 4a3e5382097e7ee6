import pytest
from tandem_orchestrator.retrieval.parsing import FileRefused, kinds, missing
from tandem_orchestrator.retrieval.parsing.kinds import extension_of, kind_of, packed_kind_of, refuse_missing


@pytest.mark.parametrize(
    ("filename", "extension"),
    [("a.PDF", "pdf"), ("a/b.c/Makefile", "makefile"), ("C:\\a\\b.md", "md"), ("..", ""), ("", ""), (".env", "env")],
)
def test_extension(filename, extension):
    assert extension_of(filename) == extension


@pytest.mark.parametrize(
    ("head", "extension", "kind"),
    [
        (b"%PDF-1.4", "txt", "pdf"),
        (b"junk before %PDF-1.4", "", "pdf"),
        (b"PK\3\4", "txt", "zip"),
        (b"text", "txt", "plain"),
        (b"text", "unknown", "plain"),
        (b"", "pdf", "plain"),
        (b"# text", "md", "markdown"),
        (b"a,b", "csv", "csv"),
        (b"{}", "ndjson", "jsonl"),
        (b"x = 1", "toml", "code"),
        (b"all:", "makefile", "code"),
        (b"\n<!DOCTYPE html><p>", "", "html"),
        (b"<!DOCTYPE html><p>", "txt", "plain"),
        ("é".encode("utf-16"), "txt", "plain"),
        (b"caf\xe9 \x1b[31mred", "log", "plain"),
    ],
)
def test_kind(head, extension, kind):
    assert kind_of(head, extension) == kind


@pytest.mark.parametrize("head", [b"\x89PNG\r\n\x1a\n\0", b"\x7fELF\2\1\1\0", b"\x1f\x8b\x08\1\2\3", b"a\0b"])
def test_binary(head):
    with pytest.raises(FileRefused) as refused:
        kind_of(head, "txt")
    assert refused.value.code == "unsupported_file"


def test_packed():
    assert packed_kind_of(["x", "word/document.xml"]) == "docx"
    with pytest.raises(FileRefused, match="macros"):
        packed_kind_of(["xl/workbook.xml", "xl/vbaProject.bin"])


def test_what_is_not_installed_is_said(monkeypatch):
    assert missing() == []
    monkeypatch.setitem(kinds.LIBRARIES, "pdf", "no_such_library")
    (line,) = missing()
    assert (
        line == "pdf files are not read: tandem-orchestrator[documents] is not installed (no_such_library is missing)"
    )
    monkeypatch.setitem(kinds.LIBRARIES, "docx", "nor_this")
    (line,) = missing()
    assert line.startswith("pdf, docx files are not read: ")
    assert line.endswith("(no_such_library, nor_this are missing)")
    with pytest.raises(FileRefused, match=r"reading pdf files needs tandem-orchestrator\[documents\]") as refused:
        refuse_missing("pdf")
    assert refused.value.code == "unsupported_file"
    refuse_missing("plain")
