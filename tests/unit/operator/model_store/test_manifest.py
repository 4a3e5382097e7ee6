"""What is no manifest makes no model complete; what is said at the end fits where it is read."""

import json

import pytest
from tandem_operator.model_store import ending, manifest
from tandem_operator.model_store.errors import PermanentError
from tandem_operator.model_store.manifest import FileEntry
from tandem_operator.model_store.progress import Progress, State


def test_a_manifest_is_read_as_it_was_written(tmp_path) -> None:
    written = manifest.write(tmp_path, "hf://org/name", "c" * 40, (FileEntry("a/b.json", 3, "d" * 64),))
    assert manifest.read(tmp_path) == written
    assert written.size == 3
    assert [path.name for path in tmp_path.iterdir()] == [manifest.NAME]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"files": []}', '{"files": [{}]}', '{"files": 3}', "null"])
def test_what_is_none_is_none(tmp_path, text) -> None:
    (tmp_path / manifest.NAME).write_text(text)
    assert manifest.read(tmp_path) is None


@pytest.mark.parametrize("letter", ["a", '"', "\x01", "é", "\U0001f6b2"])
def test_an_ending_fits_into_a_termination_message(tmp_path, letter) -> None:
    path = tmp_path / "termination-log"
    path.touch()
    ending.write(path, ending.of(PermanentError("Gated", letter * 5000), 0, 1.5))
    assert path.stat().st_size <= 4096
    assert json.loads(path.read_text())["reason"] == "Gated"


def test_no_ending_is_written_where_nobody_reads_it(tmp_path) -> None:
    ending.write(tmp_path / "absent", {})
    assert not any(tmp_path.iterdir())


def test_progress_tells_waits_and_verification() -> None:
    progress = Progress()
    assert progress.snapshot()["percent"] == 0
    progress.enter(State.FETCHING, "commit c", done=50, total=100)
    progress.received(40, 30)
    assert (progress.snapshot()["state"], progress.snapshot()["percent"]) == (State.FETCHING, 80)
    with progress.waiting("for the hub"):
        assert (progress.snapshot()["state"], progress.snapshot()["message"]) == (State.WAITING, "for the hub")
    progress.received(20, 20)
    assert progress.snapshot()["state"] == State.VERIFYING
    progress.lost(100)
    assert (progress.snapshot()["state"], progress.snapshot()["done"]) == (State.FETCHING, 0)
    assert progress.fetched == 60
