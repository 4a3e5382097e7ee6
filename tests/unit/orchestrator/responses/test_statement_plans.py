"""What is asked for one response, or one chain of them, never reads all that a tenant keeps."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import create_engine
from tandem_orchestrator.responses import run_statements, statements
from tandem_orchestrator.store.tables import METADATA

OF_ONE = {
    name: getattr(module, name).sqlite
    for module, names in (
        (statements, ("GET", "CHAIN", "HIDE", "REMOVE", "HOLD_CONVERSATION", "ITEM", "DELETE_ITEM")),
        (run_statements, ("FINISH", "STOP", "STEP", "RELEASE", "END_RUN", "ADD_EVENTS", "EVENTS_AFTER")),
    )
    for name in names
}


@pytest.fixture
def connection(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/t.db")
    METADATA.create_all(engine)
    engine.dispose()
    with closing(sqlite3.connect(tmp_path / "t.db")) as connection:
        yield connection


@pytest.mark.parametrize("name", OF_ONE)
def test_one_response_is_found_by_its_key(connection, name):
    statement = OF_ONE[name]
    arguments = statement.arguments(dict.fromkeys(statement.names, ""))
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", arguments)]
    assert [step for step in plan if step.endswith("(tenant=?)") or step.startswith("SCAN tandem")] == []
