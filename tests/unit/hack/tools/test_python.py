"""Which Python .venv is made of."""

import sys
import sysconfig
from pathlib import Path

import pytest

from hack import cache
from hack.failure import Failure
from hack.tools import debian, python


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "root", lambda: tmp_path)
    monkeypatch.setattr(python, "_of_machine", lambda: None)
    return tmp_path


def made(folder: Path) -> None:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / f"python{python.minor()}").touch()


def test_a_python_of_another_version_is_not_fit(monkeypatch):
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    has_headers = Path(sysconfig.get_path("include"), "Python.h").exists()
    monkeypatch.setattr(python, "minor", lambda: own)
    assert python._is_fit(sys.executable) == has_headers
    monkeypatch.setattr(python, "minor", lambda: "2.7")
    assert not python._is_fit(sys.executable)
    assert not python._is_fit("/nowhere/python")


def test_what_can_be_downloaded_is_not_unpacked(empty_cache, monkeypatch):
    monkeypatch.setattr(python, "_download", lambda folder, _: made(folder))
    monkeypatch.setattr(python, "_unpack", lambda *_: pytest.fail("there was a download"))
    assert (python.ensure(lambda: empty_cache) / "python").resolve().is_relative_to(empty_cache)


def test_debians_is_unpacked_where_there_is_no_download(empty_cache, monkeypatch):
    def no_download(*_):
        raise Failure("the host does not answer")

    monkeypatch.setattr(python, "_download", no_download)
    monkeypatch.setattr(python, "_unpack", lambda folder, _: made(folder))
    first = python.ensure(lambda: empty_cache)
    monkeypatch.setattr(python, "_unpack", lambda *_: pytest.fail("it is there already"))
    assert python.ensure(lambda: empty_cache) == first


def test_without_download_and_root_it_says_what_to_install(empty_cache, monkeypatch):
    def refuse(*_):
        raise Failure("missing: mmdebstrap. Run this as root")

    monkeypatch.setattr(debian, "ensure", refuse)
    with pytest.raises(Failure, match=rf"python{python.minor()}-dev; or, .*Run this as root"):
        python._unpack(empty_cache / "new", empty_cache / "there")


def test_only_pythons_own_headers_stay(tmp_path):
    own, beside = tmp_path / f"python{python.minor()}", tmp_path / debian.MACHINE / f"python{python.minor()}"
    for folder in (own, beside, tmp_path / "linux"):
        folder.mkdir(parents=True)
    (own / "Python.h").touch()
    (own / "pyconfig.h").write_text("one that includes the other")
    (beside / "pyconfig.h").write_text("this machine's")
    (tmp_path / "stdio.h").touch()
    python._keep_own_headers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [own.name]
    assert (own / "pyconfig.h").read_text() == "this machine's"
