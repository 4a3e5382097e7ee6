"""What is there counts as there only while it is what was verified."""

import hashlib
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from tandem_operator.model_store.hub import RemoteFile
from tandem_operator.model_store.unfinished import FOLDER, Unfinished

CONTENT = b'{"a": 1}'
FILE = RemoteFile("a/config.json", len(CONTENT), "b" * 40)


@pytest.fixture
def folder(tmp_path):
    unfinished = Unfinished(tmp_path)
    unfinished.part(FILE).write_bytes(CONTENT)
    unfinished.keep(FILE, hashlib.sha256(CONTENT).hexdigest())
    return tmp_path


def test_what_was_verified_is_known_to_the_next_process(folder) -> None:
    assert Unfinished(folder).has(FILE)
    assert Unfinished(folder).present(FILE) == len(CONTENT)


@pytest.mark.parametrize("writes", range(3))
def test_no_byte_is_lost_where_the_process_ends_while_a_file_is_kept(tmp_path, monkeypatch, writes) -> None:
    replace, done = Path.replace, count()

    def replaced(path: Path, target: Path) -> Path:
        if next(done) == writes:
            raise KeyboardInterrupt
        return replace(path, target)

    unfinished = Unfinished(tmp_path)
    unfinished.part(FILE).write_bytes(CONTENT)
    monkeypatch.setattr(Path, "replace", replaced)
    with suppress(KeyboardInterrupt):
        unfinished.keep(FILE, hashlib.sha256(CONTENT).hexdigest())
    following = Unfinished(tmp_path)
    following.remove_others([FILE])
    assert following.present(FILE) == len(CONTENT)
    assert next(done) == min(writes + 1, 2), "a file is kept by a record and a name"


def test_what_was_replaced_since_is_not(folder) -> None:
    (folder / FILE.path).write_bytes(CONTENT.replace(b"1", b"2"))
    assert not Unfinished(folder).has(FILE)
    assert Unfinished(folder).present(FILE) == 0


@pytest.mark.parametrize("record", ["", "[]", '{"a/config.json": {}}', '{"a/config.json": 3}'])
def test_without_a_record_nothing_is_known(folder, record) -> None:
    (folder / FOLDER / "verified.json").write_text(record)
    assert not Unfinished(folder).has(FILE)


def test_another_digest_is_another_file(folder) -> None:
    other = RemoteFile(FILE.path, FILE.size, "c" * 40)
    unfinished = Unfinished(folder)
    assert not unfinished.has(other)
    assert unfinished.part(other) != unfinished.part(FILE)


def test_equal_files_of_one_commit_gather_apart(folder) -> None:
    twin = RemoteFile("b/config.json", FILE.size, FILE.digest)
    assert Unfinished(folder).part(twin) != Unfinished(folder).part(FILE)


def test_parts_count_as_far_as_they_are(folder) -> None:
    other = RemoteFile("model.safetensors", 100, "d" * 64)
    unfinished = Unfinished(folder)
    unfinished.part(other).write_bytes(bytes(60))
    assert unfinished.present(other) == 60
    unfinished.remove_others([FILE])
    assert unfinished.present(other) == 0
    assert unfinished.has(FILE)
