"""Which Python .venv is made of."""

import sys
import sysconfig
from pathlib import Path

import pytest

from hack import cache, versions
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


def test_debians_loads_its_own_c_library_from_where_the_cache_will_have_it(empty_cache, monkeypatch):
    new, target = empty_cache / "new", empty_cache / "there"
    commands = []

    def make_root(_, root: Path) -> None:
        headers = root / "usr" / "include"
        for folder in (headers, headers / debian.MACHINE):
            (folder / f"python{python.minor()}").mkdir(parents=True)
            (folder / f"python{python.minor()}" / "pyconfig.h").touch()

    def run(command):
        commands.append([str(part) for part in command])
        return "/lib64/ld-linux-of-this-machine.so.2\n"

    monkeypatch.setattr(debian, "ensure", lambda _: None)
    monkeypatch.setattr(debian, "folder", lambda _: empty_cache)
    monkeypatch.setattr(debian, "make_root", make_root)
    monkeypatch.setattr(python, "run", run)
    python._unpack(new, target)
    loader, program = f"lib/{debian.MACHINE}/ld-linux-of-this-machine.so.2", f"{new}/bin/python{python.minor()}"
    assert commands[1][1:3] == ["--set-interpreter", f"{target}/{loader}"]
    assert commands[1][-2:] == [f"$ORIGIN/../lib/{debian.MACHINE}", program]
    assert commands[2][:2] == [f"{new}/{loader}", program], "it is tried before it is kept"


def test_it_is_the_version_that_the_images_have():
    images = versions.pinned("images")
    assert f"/python:{python.minor()}-slim-{images['debian']}" in images["base"]
    assert python.mmdebstrap_arguments()[-1] == images["debian"]


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
