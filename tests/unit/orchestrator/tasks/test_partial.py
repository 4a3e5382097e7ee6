import json

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
    parts = [part for piece in text if (part := growing.add(piece)) is not None]
    assert growing.text == text
    assert parts
    assert all(json.loads(json.dumps(part)) == part for part in parts)
    assert len(parts[-1]) <= len(document)


def test_all_parts_together_are_few_times_as_long_as_the_document():
    text = json.dumps({"summary": "x" * 20_000})
    growing = Growing()
    shown = [len(json.dumps(part)) for piece in text if (part := growing.add(piece)) is not None]
    assert len(shown) < 90
    assert sum(shown) < 10 * len(text)


@pytest.mark.parametrize("text", ["Sure! Here it is", "12", '"text', "NaN", "{]", "[" * 5000, '{"a": NaN'])
def test_what_is_no_document_is_shown_at_no_time(text):
    growing = Growing()
    assert [part for piece in text if (part := growing.add(piece)) not in (None, {}, [])][:1] in ([], [[[]]])
