"""Rows on embedding must fail when it is slow, or keeps others waiting."""

import pytest

from bench.embedding import rows
from bench.report import Series

GOOD = {
    "bare engine": [500.0],
    "engine": [450.0],
    "engine cpu": [40.0],
    "cached cpu": [13.0],
    "bare static": [2000.0],
    "static": [1900.0],
    "blocked": [13.0, 20.0],
    "question": [90.0],
    "cached question": [190.0],
}


def passed(**changed):
    return [row.passed for row in rows({name: Series(values) for name, values in (GOOD | changed).items()})]


def test_what_is_well():
    assert passed() == [True, None, True, True, None]


@pytest.mark.parametrize(
    ("name", "values", "row"), [("engine", [399.0], 0), ("static", [1599.0], 2), ("blocked", [13.0, 51.0], 3)]
)
def test_what_is_not(name, values, row):
    assert passed(**{name: values})[row] is False
