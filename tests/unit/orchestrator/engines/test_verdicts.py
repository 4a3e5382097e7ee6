"""What worker processes share of the replicas that one of them has asked."""

from pathlib import Path

import pytest
from tandem_orchestrator.engines.tool_calling.verdicts import Known, Verdict, Verdicts

KNOWN = {
    "engine a:1": Known(Verdict(verified=True, reason="Verified", message="“right”", settled=True), 1.5, 46.5),
    "engine b:1": Known(Verdict(verified=None, reason="NotVerified", message=""), 2.5, 92.5, failures=1),
}


@pytest.fixture(params=["in memory", "in a file"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path if request.param == "in a file" else None


def test_what_is_kept_is_known(folder: Path | None) -> None:
    verdicts = Verdicts(folder)
    assert verdicts.known == {}
    verdicts.keep(KNOWN)
    assert verdicts.known == KNOWN
    verdicts.keep({})
    assert verdicts.known == {}


def test_workers_know_what_one_of_them_has_found(tmp_path: Path) -> None:
    one, other = Verdicts(tmp_path), Verdicts(tmp_path)
    one.keep(KNOWN)
    assert other.known == KNOWN
    other.keep({})
    assert one.known == {}


def test_one_worker_at_a_time_asks(tmp_path: Path) -> None:
    one, other = Verdicts(tmp_path), Verdicts(tmp_path)
    with one.turn() as first:
        with other.turn() as second:
            assert (first, second) == (True, False)
        with other.turn() as still:
            assert not still
    with other.turn() as now:
        assert now


def test_a_worker_that_is_alone_has_the_turn_always() -> None:
    verdicts = Verdicts(None)
    with verdicts.turn() as first, verdicts.turn() as second:
        assert first
        assert second
