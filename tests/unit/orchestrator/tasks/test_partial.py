import json

import orjson
import pytest
from tandem_orchestrator.tasks.partial import Growing

DOCUMENTS = [
    {
        "category": "billing",
        "list": ["a", 1, -2.5e3, True, None, {"deep": ["x"]}],
        "summary": 'quo"te \\ \u00e9 😀 end',
    },
    ["a", {"b": []}],
    {},
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_each_part_of_a_document_parses_wherever_it_is_cut(document, ascii_only):
    text = json.dumps(document, ensure_ascii=ascii_only)
    growing = Growing()
    parts = shown_of(growing, text)
    assert growing.text == text
    assert parts
    assert len(parts[-1]) <= len(document)


def test_all_parts_together_are_few_times_as_long_as_the_document():
    text = json.dumps({"summary": "x" * 20_000})
    growing = Growing()
    shown = [len(json.dumps(part)) for part in shown_of(growing, text)]
    assert len(shown) < 90
    assert sum(shown) < 10 * len(text)


@pytest.mark.parametrize(
    "text", ["Sure! Here it is", "12", '"text', "NaN", "{]", "[" * 5000, '{"a": NaN', "[1" + "0" * 99]
)
def test_what_is_no_document_is_shown_as_far_as_it_is_one(text):
    assert all(part in ({}, [], [[]], [[[]]]) or text[0] == "[" for part in shown_of(Growing(), text))


def shown_of(growing, text):
    """What is shown of a text that comes by characters, as its reader sees it."""
    parts = (growing.add(piece) for piece in text)
    return [json.loads(orjson.dumps(part)) for part in parts if part is not None]
