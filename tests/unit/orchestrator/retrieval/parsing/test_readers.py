import datetime as dt
import io

import pytest
from tandem_orchestrator.retrieval.parsing.block import LARGEST
from tandem_orchestrator.retrieval.parsing.decoding import encoding_of
from tandem_orchestrator.retrieval.parsing.readers import reader_of, web_page

from tests import documents as d


def read(kind, content):
    blocks = reader_of(kind)(io.BytesIO(content if isinstance(content, bytes) else content.encode()), 100)
    return [block for block in blocks if block.text.strip()]


def texts(kind, content):
    return [block.text.strip("\n") for block in read(kind, content)]


def under(kind, content):
    return [(block.text.strip("\n"), block.heading) for block in read(kind, content)]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"text", "utf-8"),
        ("é".encode(), "utf-8"),
        ("\ufeffé".encode(), "utf-8-sig"),
        ("\ufeffé".encode("utf-16-be"), "utf-16"),
        ("é".encode("utf-16"), "utf-16"),
        (b"caf\xe9 ", "cp1252"),
        ("é".encode()[:-1], "utf-8"),
    ],
)
def test_encoding(content, encoding):
    assert encoding_of(io.BytesIO(content)) == encoding


def test_plain_paragraphs():
    assert texts("plain", "one\nline\n\n \n\ntwo\n") == ["one\nline", "two"]


def test_a_long_paragraph_comes_in_parts_between_words():
    content = "word " * 100_000
    blocks = read("plain", content)
    assert "".join(block.text for block in blocks).split() == content.split()
    assert {block.gap for block in blocks[1:]} == {""}
    assert max(len(block.text) for block in blocks) <= 2 * LARGEST


def test_markdown_sections():
    content = "before\n# A #\ntext\nmore\n\nB\n---\ntext\n### C\n## D\n```\n# no heading\n\nline\n```\nafter\n#no\n"
    assert under("markdown", content) == [
        ("before", ""),
        ("# A #\n\ntext\nmore", "A"),
        ("B\n---\n\ntext", "A > B"),
        ("### C\n\n## D\n\n```\n# no heading\n\nline\n```", "A > D"),
        ("after\n#no", "A > D"),
    ]


def test_markdown_ends_with_a_heading():
    assert under("markdown", "text\n# A") == [("text", ""), ("# A", "A")]


HTML = """<!doctype html><html><head><title>T</title><style>p{}</style><script>var a = "<p>no</p>";</script></head>
<body><nav>menu</nav><h1>A &amp; B</h1><p>Some <b>bold</b>
words<br>line</p><!-- no --><ul><li>one<li>two</ul><h2>C</h2>
<table><tr><th>x</th><th>y</th></tr><tr><td>1</td><td>2</td></tr></table><pre>a
  b</pre><svg><text>no</text></svg>end</body></html>"""
SEEN = [
    ("T", ""),
    ("menu", ""),
    ("A & B\n\nSome bold words\nline", "A & B"),
    ("- one\n- two", "A & B"),
    ("C\n\nx | y |\n1 | 2", "A & B > C"),
    ("a\n  b", "A & B > C"),
    ("end", "A & B > C"),
]


@pytest.mark.parametrize("installed", [True, False])
def test_html(monkeypatch, installed):
    if not installed:
        monkeypatch.setattr(web_page, "etree", None)
    assert under("html", HTML) == SEEN


def test_tables():
    assert texts("csv", 'name;age\nann;3\n"b ""q""\nline";\n') == ["name;age", "name: ann\nage: 3", 'name: b "q"\nline']
    assert texts("csv", "1,2\n3,4") == ["1 | 2", "3 | 4"]
    assert texts("csv", "a,b\n1,2,3") == ["a,b", "a: 1\nb: 2\n3"]


def test_json():
    assert texts("json", '[{"a": 1, "b": [true, null, ""]}, "x", 12345678901234567890123]') == [
        "a: 1\nb: true",
        "x",
        "12345678901234567890123",
    ]
    assert texts("json", "no JSON") == ["no JSON"]


def test_code():
    content = "import a\nimport b\n\n@x\ndef f():\n    return 1\n\n\nclass C {\n    int a;\n}\nint main() {\n}\n"
    assert texts("code", content) == [
        "import a\nimport b",
        "@x\ndef f():\n    return 1",
        "class C {\n    int a;\n}",
        "int main() {\n}",
    ]


def test_docx():
    content = d.docx_file(("Heading 1", "A"), ("Heading 3", "B"), ("Normal", "text"), [["x", "y"]], ("Heading 2", "C"))
    assert under("docx", content) == [("A\n\nB\n\ntext", "A > B"), ("x | y", "A > B"), ("C", "A > C")]


def test_docx_without_styles():
    assert texts("docx", d.bare_docx(d.word_xml(d.paragraph("text")))) == ["text"]


def test_xlsx_values():
    rows = [["when", "what"], [dt.date(2024, 5, 17), True], ["", ""], [2.0, 2.5]]
    assert texts("xlsx", d.xlsx_file(One=rows)) == [
        "when | what",
        "when: 2024-05-17\nwhat: TRUE",
        "when: 2\nwhat: 2.5",
    ]


def test_pdf_bookmarks():
    bookmark = b"<</Title(Chapter)/Parent 8 0 R/Dest[6 0 R/Fit]>>"
    pages = b"<</Type/Pages/Count 2/Kids[4 0 R 6 0 R]>>"
    objects = [b"<</Type/Catalog/Pages 2 0 R/Outlines 8 0 R>>", pages, d.FONT]
    for number, text in ((5, "one"), (7, "two")):
        objects += [d.PAGE % number, d.stream(d.text_commands(text))]
    objects += [b"<</First 9 0 R/Last 9 0 R/Count 1>>", bookmark]
    blocks = read("pdf", d.pdf_of(objects))
    assert [(block.text, block.page, block.heading) for block in blocks] == [("one", 1, ""), ("two", 2, "Chapter")]
