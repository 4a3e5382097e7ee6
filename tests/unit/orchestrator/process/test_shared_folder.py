import fcntl

import pytest
from tandem_orchestrator.process import shared_folder as module
from tandem_orchestrator.process.shared_folder import LOCK, shared_folder


@pytest.fixture(autouse=True)
def memory(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "IN_MEMORY", tmp_path)
    return tmp_path


def test_a_folder_of_ones_own_that_goes_in_the_end(memory):
    with shared_folder() as folder:
        assert folder.parent == memory
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "counter.db").touch()
        with shared_folder() as other:
            assert other != folder
            assert folder.exists(), "its service lives"
    assert list(memory.iterdir()) == []


def test_what_a_killed_service_left_goes_and_what_another_uses_stays(memory):
    for name in ("tandem-left", "tandem-used", "other"):
        (memory / name).mkdir()
        (memory / name / LOCK).touch()
    with (memory / "tandem-used" / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with shared_folder() as folder:
            assert {path.name for path in memory.iterdir()} == {"tandem-used", "other", folder.name}


def test_without_memory_it_lies_where_temporary_files_lie(memory, monkeypatch, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setattr(module, "IN_MEMORY", memory / "nowhere")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(elsewhere))
    with shared_folder() as folder:
        assert folder.parent == elsewhere
