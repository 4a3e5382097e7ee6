import pytest
from tandem_orchestrator.tools.citation import MOST, citations
from tandem_orchestrator.tools.passage import LONGEST_QUOTE, Passage

ONE = Passage("The tandem was built in Dursley by Mikael Pedersen, in 1898.", "one.pdf", file_id="file-1", page=2)
TWO = Passage("Order number AB-1234-X was shipped on Monday.", "two.txt", file_id="file-2")
WEB = Passage("A tandem seats two riders, one behind the other.", "Tandems", url="https://t.example")
BOTH = [ONE, TWO]


def cited(text, passages=BOTH, new=0):
    """Which file is cited, and where."""
    found = citations(text, passages, new)
    return [(each.get("filename") or each["url"], each.get("index", each.get("end_index"))) for each in found]


def test_a_mark_becomes_an_annotation_where_it_stands():
    text = "Built in Dursley [1]."
    assert citations(text, BOTH) == [
        {
            "type": "file_citation",
            "index": text.index("["),
            "file_id": "file-1",
            "filename": "one.pdf",
            "page": 2,
            "quote": ONE.text,
        }
    ]


def test_a_page_of_the_web_is_cited_by_its_mark():
    text = "It seats two [1]."
    assert citations(text, [WEB]) == [
        {"type": "url_citation", "start_index": 13, "end_index": 16, "url": WEB.url, "title": "Tandems"}
    ]


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("Both [1, 2].", ["one.pdf", "two.txt"]),
        ("Both [1][2].", ["one.pdf", "two.txt"]),
        ("Twice [2] and [2].", ["two.txt", "two.txt"]),
        ("As Harmony does【2†L3-L5】.", ["two.txt"]),
        ("None of [0], [3], [99999], [-1], [x] or [1.5].", []),
        ("A link [1](https://x.example) is none.", []),
        ("Nor is `a[1]` or\n```\nb[2]\n```\n", []),
        ("An open ``` fence [1]", []),
        ("", []),
    ],
)
def test_marks(text, files):
    assert [name for name, _ in cited(text)] == files


def test_indices_count_characters():
    assert cited("Größe 🚲🚲 [1]") == [("one.pdf", 9)]


def test_a_mark_may_name_what_was_found_before():
    assert cited("Said before [1].", BOTH, new=2) == [("one.pdf", 12)]


class TestWithoutMarks:
    def test_a_run_of_words_is_cited_at_the_end_of_its_sentence(self):
        text = "I looked. It was built in Dursley by Mikael Pedersen, they say. Nice."
        assert cited(text) == [("one.pdf", text.index(" Nice"))]

    def test_a_word_that_only_one_passage_has(self):
        assert cited("Your order ab-1234-x is on its way!") == [("two.txt", 35)]

    def test_a_word_that_several_have_tells_nothing(self):
        assert cited("Your order ab-1234-x is on its way!", [TWO, TWO._replace(file_id="file-3")]) == []

    def test_a_word_within_another_tells_nothing(self):
        assert cited("Your order is 12345.", [TWO._replace(text="Call 0123456 at any time.")]) == []

    def test_emphasis_and_line_ends_do_not_count(self):
        text = "It was **built in Dursley** by Mikael Pedersen."
        assert cited(text, [ONE._replace(text=ONE.text.replace(" by ", "\nby "))]) == [("one.pdf", len(text))]

    def test_samples_are_of_the_whole_text(self):
        text = "Nothing of this was said by anybody. " * 50 + "The tandem was built in Dursley by Mikael Pedersen."
        assert [name for name, _ in cited(text)] == ["one.pdf"]

    def test_a_sentence_of_the_web(self):
        found = citations("Yes. A tandem seats two riders. No.", [WEB])
        assert [(each["start_index"], each["end_index"]) for each in found] == [(4, 31)]

    @pytest.mark.parametrize("text", ["Hello!", "It was built by somebody.", "1898", "as it is in the end", "…", "[9]"])
    def test_little_in_common_is_no_citation(self, text):
        assert cited(text, [*BOTH, ONE._replace(text="say it as it is in the end of all")]) == []

    def test_only_what_was_just_found_is_looked_at(self):
        text = "It was built in Dursley by Mikael Pedersen."
        assert cited(text, BOTH, new=1) == []

    def test_marks_that_name_nothing_do_not_stand_in_the_way(self):
        assert cited("Built in Dursley by Mikael Pedersen [7].") == [("one.pdf", 40)]


def test_what_is_annotated_is_bounded():
    found = citations("[1]" * 10_000, [ONE._replace(text="x" * 100_000)])
    assert len(found) == MOST
    assert len(found[0]["quote"]) == LONGEST_QUOTE


@pytest.mark.parametrize("piece", ["`", "[1,", "【1†", ". ", "..!?", "a.b.", "word ", "```", "x-", "\n"])
def test_no_text_takes_long(piece):
    citations(piece * (200_000 // len(piece)), [ONE._replace(text=piece * (200_000 // len(piece)))])
