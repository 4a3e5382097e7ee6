import pytest
from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.retrieval.attributes import Attributes, attributes_of, filter_of

FILE: Attributes = {"team": "search", "year": 2024, "score": 0.5, "public": True, "one": 1}


def matches(kind, key, value, attributes=FILE):
    found = filter_of({"type": kind, "key": key, "value": value})
    assert found is not None
    return found.matches(attributes)


@pytest.mark.parametrize(
    ("kind", "key", "value", "expected"),
    [
        ("eq", "team", "search", True),
        ("eq", "team", "Search", False),
        ("eq", "year", 2024, True),
        ("eq", "year", 2024.0, True),
        ("eq", "year", "2024", False),
        ("eq", "public", True, True),
        ("eq", "public", 1, False),
        ("eq", "one", True, False),
        ("eq", "absent", "x", False),
        ("ne", "team", "search", False),
        ("ne", "team", "other", True),
        ("ne", "absent", "x", True),
        ("gt", "year", 2023, True),
        ("gt", "year", 2024, False),
        ("gte", "year", 2024, True),
        ("lt", "score", 1, True),
        ("lt", "score", 0.5, False),
        ("lte", "score", 0.5, True),
        ("gt", "team", "ring", True),
        ("gt", "team", 5, False),
        ("lt", "year", "z", False),
        ("gt", "public", 0, False),
        ("gt", "absent", 0, False),
        ("in", "team", ["a", "search"], True),
        ("in", "team", [], False),
        ("in", "one", [True], False),
        ("in", "absent", ["x"], False),
        ("nin", "team", ["a", "search"], False),
        ("nin", "absent", ["x"], True),
    ],
)
def test_one_comparison(kind, key, value, expected):
    assert matches(kind, key, value) is expected


def test_compounds():
    year = {"type": "gte", "key": "year", "value": 2000}
    other = {"type": "eq", "key": "team", "value": "other"}
    for kind, expected in (("and", False), ("or", True)):
        found = filter_of({"type": kind, "filters": [year, other]})
        assert found is not None
        assert found.matches(FILE) is expected
    nested = filter_of({"type": "and", "filters": [{"type": "or", "filters": [year, other]}, year]})
    assert nested is not None
    assert nested.matches(FILE)


def deep(levels):
    found = {"type": "eq", "key": "a", "value": 1}
    for _ in range(levels - 1):
        found = {"type": "and", "filters": [found]}
    return found


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ("eq", "filters"),
        ({"type": "like", "key": "a", "value": "b"}, "filters.type"),
        ({"key": "a", "value": "b"}, "filters.type"),
        ({"type": ["eq"], "key": "a", "value": "b"}, "filters.type"),
        ({"type": "eq", "key": 1, "value": "b"}, "filters.key"),
        ({"type": "eq", "key": "k" * 65, "value": "b"}, "filters.key"),
        ({"type": "eq", "key": "a", "value": None}, "filters.value"),
        ({"type": "eq", "key": "a", "value": ["b"]}, "filters.value"),
        ({"type": "gt", "key": "a", "value": True}, "filters.value"),
        ({"type": "in", "key": "a", "value": "b"}, "filters.value"),
        ({"type": "in", "key": "a", "value": [["b"]]}, "filters.value"),
        ({"type": "in", "key": "a", "value": ["b"] * 1001}, "filters.value"),
        ({"type": "and", "filters": []}, "filters.filters"),
        ({"type": "or", "filters": {}}, "filters.filters"),
        ({"type": "or", "filters": ["eq"]}, "filters.filters.0"),
        ({"type": "or", "filters": [{"type": "eq", "key": "a", "value": 1}] * 101}, "filters"),
    ],
)
def test_what_is_no_filter(value, param):
    with pytest.raises(BadRequest) as refused:
        filter_of(value)
    assert refused.value.param == param


def test_filters_are_not_nested_without_end():
    assert filter_of(deep(10)) is not None
    with pytest.raises(BadRequest, match="deeper than 10"):
        filter_of(deep(11))


def test_no_filter():
    assert filter_of(None) is None


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ([], "attributes"),
        ({str(n): n for n in range(17)}, "attributes"),
        ({"": 1}, "attributes"),
        ({"k" * 65: 1}, "attributes"),
        ({"a": None}, "attributes.a"),
        ({"a": ["b"]}, "attributes.a"),
        ({"a": "x" * 513}, "attributes.a"),
    ],
)
def test_what_are_no_attributes(value, param):
    with pytest.raises(BadRequest) as refused:
        attributes_of(value)
    assert refused.value.param == param


def test_attributes():
    assert attributes_of(None) == {}
    assert attributes_of({"k" * 64: "x" * 512, "b": 1.5, "c": False}) == {"k" * 64: "x" * 512, "b": 1.5, "c": False}
