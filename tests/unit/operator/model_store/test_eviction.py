"""What leaves a store."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tandem_operator.api.source import HuggingFace
from tandem_operator.model_store import manifest
from tandem_operator.model_store.eviction import Held, doomed, evict
from tandem_operator.model_store.lock import Lock
from tandem_operator.model_store.manifest import FileEntry

DAY = 24 * 3600.0
OLD = Held(Path("old"), complete=True, size=10, used=1 * DAY, kept=False)
NEW = replace(OLD, folder=Path("new"), used=3 * DAY)
KEPT = replace(OLD, folder=Path("kept"), used=0, kept=True)
HALF = replace(OLD, folder=Path("half"), complete=False)


@pytest.mark.parametrize(("bound", "expected"), [(30, []), (29, [OLD]), (20, [OLD]), (19, [OLD, NEW]), (0, [OLD, NEW])])
def test_what_was_not_asked_for_longest_goes_first(bound, expected) -> None:
    assert doomed([NEW, KEPT, OLD], 4 * DAY, bound) == expected


def test_what_is_incomplete_goes_after_a_day_however_much_room_there_is() -> None:
    assert doomed([HALF], 2 * DAY + 1, 1000) == [HALF]
    assert doomed([HALF], 2 * DAY - 1, 0) == []
    assert doomed([replace(HALF, kept=True)], 9 * DAY, 0) == []


def test_what_goes_for_its_age_makes_room() -> None:
    assert doomed([HALF, OLD], 3 * DAY, 10) == [HALF]


def test_models_leave_a_store(tmp_path) -> None:
    kept, other, half, locked = (_model(tmp_path, name) for name in ("kept", "other", "half", "locked"))
    (half / manifest.NAME).unlink()
    for path in (half / "model.safetensors", half):
        os.utime(path, (time.time() - 2 * DAY,) * 2)
    lock = Lock(locked)
    assert lock.acquire()
    freed = evict(tmp_path, [HuggingFace("org/kept", None)], 0)
    assert [path.exists() for path in (kept, other, half, locked)] == [True, False, False, True]
    assert freed > 200
    lock.release()
    evict(tmp_path, [], 0)
    assert not any(path.is_dir() for path in (tmp_path / "models").glob("*/*"))


def _model(store: Path, name: str) -> Path:
    folder = store / "models" / f"org--{name}" / "main"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(100))
    manifest.write(folder, f"hf://org/{name}", "0" * 40, (FileEntry("model.safetensors", 100, "0" * 64),))
    return folder
