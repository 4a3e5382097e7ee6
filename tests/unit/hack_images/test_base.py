"""The base that is made of packages."""

from pathlib import Path

import pytest

from hack import versions
from hack.images import base


def test_has_what_the_dockerfiles_need() -> None:
    arguments = base.mmdebstrap_arguments()
    assert "--include=ca-certificates,python3,python3-venv" in arguments
    assert arguments[-1] == versions.pinned("images")["debian"]


def test_copyrights_stay_in_it() -> None:
    arguments = base.mmdebstrap_arguments()
    excluded = arguments.index("--dpkgopt=path-exclude=/usr/share/doc/*")
    assert arguments.index("--dpkgopt=path-include=/usr/share/doc/*/copyright") > excluded


def test_another_list_of_packages_is_another_base(monkeypatch: pytest.MonkeyPatch) -> None:
    before = base.reference()
    monkeypatch.setattr(base, "PACKAGES", (*base.PACKAGES, "curl"))
    assert base.reference() != before


def test_the_context_is_the_dockerfile_and_what_it_adds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("hack.tools.debian.make_root", lambda _, target: target.touch())
    base.write_context(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"Dockerfile", "root.tar"}
    assert "ADD root.tar /\n" in (tmp_path / "Dockerfile").read_text()
