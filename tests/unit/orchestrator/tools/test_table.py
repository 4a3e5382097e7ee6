"""A table takes rows until its bounds."""

import orjson
import pytest
from tandem_orchestrator.tools.table import MAX_DESCRIBED, Bounds, QueryError, Table, describe


def test_rows_that_fit_are_taken():
    table = Table(["id"], Bounds(rows=2, bytes=100, seconds=1))
    assert table.add(b"[1]")
    assert table.add(b"[2]")
    assert orjson.loads(table.json()) == {"columns": ["id"], "rows": [[1], [2]], "truncated": False}


@pytest.mark.parametrize("last", [b"[3]", None])
def test_a_row_too_many_or_too_long_ends_it(last):
    table = Table(["id"], Bounds(rows=2, bytes=100, seconds=1))
    assert [table.add(row) for row in (b"[1]", b"[2]", last)] == [True, True, False]
    assert orjson.loads(table.json()) == {"columns": ["id"], "rows": [[1], [2]], "truncated": True}


def test_bytes_are_counted():
    table = Table(["id"], Bounds(rows=100, bytes=8, seconds=1))
    assert [table.add(b"[1]") for _ in range(3)] == [True, True, False]


def test_columns_alone_may_be_too_long():
    with pytest.raises(QueryError, match="ask for fewer"):
        Table(["x" * 300], Bounds(rows=1, bytes=256, seconds=1))


def test_many_tables_are_not_all_described():
    assert describe({"a": ["id integer"], "b": []}) == "Tables: a(id integer); b()"
    text = describe({f"table_{number}": ["id integer"] for number in range(5000)})
    assert text.endswith("(there are more tables)")
    assert len(text) < MAX_DESCRIBED + 50
