import threading
from pathlib import Path

import pytest

from hack import cache
from hack.failure import Failure


def test_root_is_the_chosen_folder_then_that_of_xdg_then_that_of_the_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path / "chosen"))
    assert cache.root() == tmp_path / "chosen"
    monkeypatch.delenv("TANDEM_CACHE")
    assert cache.root() == tmp_path / "xdg" / "tandem"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.root() == tmp_path / "home" / ".cache" / "tandem"


def test_ensure_builds_once_under_another_name(tmp_path: Path) -> None:
    path = tmp_path / "thing"
    seen = []

    def build(draft: Path) -> None:
        seen.append(path.exists())
        draft.write_text("built")

    assert cache.ensure(path, build).read_text() == "built"
    cache.ensure(path, build)
    assert seen == [False]
    assert [each.name for each in tmp_path.glob("*thing*")] == ["thing"]


def test_an_interrupted_build_is_not_taken_for_a_finished_one(tmp_path: Path) -> None:
    path = tmp_path / "folder"

    def interrupted(draft: Path) -> None:
        draft.mkdir()
        (draft / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.ensure(path, interrupted)
    assert not path.exists()
    cache.ensure(path, Path.mkdir)
    assert list(path.iterdir()) == []


def test_the_second_of_two_builders_waits_for_the_first(tmp_path: Path) -> None:
    path, entered, go_on, builds = tmp_path / "thing", threading.Event(), threading.Event(), []

    def slow(draft: Path) -> None:
        builds.append("first")
        entered.set()
        assert go_on.wait(10)
        draft.touch()

    def never(_: Path) -> None:
        builds.append("second")

    first = threading.Thread(target=cache.ensure, args=(path, slow))
    first.start()
    assert entered.wait(10)
    second = threading.Thread(target=cache.ensure, args=(path, never))
    second.start()
    go_on.set()
    first.join(10)
    second.join(10)
    assert builds == ["first"]


def test_clear_deletes_a_cache_and_nothing_else() -> None:
    cache.root().mkdir()
    (cache.root() / "thesis.txt").touch()
    with pytest.raises(Failure, match=r"CACHEDIR\.TAG"):
        cache.clear()
    assert (cache.root() / "thesis.txt").exists()
    with cache.lock("anything"):
        pass
    cache.clear()
    assert not cache.root().exists()


def test_remove_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    cache.remove(tmp_path / "link")
    assert (tmp_path / "kept" / "file").exists()
    assert not (tmp_path / "link").is_symlink()


def test_parts_are_named_for_scripts() -> None:
    assert cache.part("") == cache.root()
    assert cache.part("uv") == cache.uv()
    with pytest.raises(Failure, match="uv"):
        cache.part("wine")
