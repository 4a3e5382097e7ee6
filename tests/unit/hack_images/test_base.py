"""The base that is made of packages."""

from pathlib import Path

import pytest

from hack import versions
from hack.images import base
from hack.images.builders import Buildah


class Storage(Buildah):
    """Buildah's storage without Buildah."""

    def __init__(self, *references: str) -> None:
        super().__init__()
        self.references = list(references)

    def has(self, reference: str) -> bool:
        return reference in self.references

    def build_base(self, reference: str, context: Path) -> None:
        assert {path.name for path in context.iterdir()} == {"Dockerfile", "root.tar"}
        self.references.append(reference)


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


def test_is_built_where_it_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path))
    monkeypatch.setattr(base, "KEYRING", tmp_path)
    monkeypatch.setattr("hack.tools.executable", lambda name: name)
    commands: list[list[str]] = []

    def run(command: list[str]) -> None:
        commands.append(command)
        Path(command[-1]).touch()

    monkeypatch.setattr(base, "run", run)
    storage = Storage()
    base.ensure(storage)
    base.ensure(storage)
    assert storage.references == [base.reference()]
    assert [command[0] for command in commands] == ["mmdebstrap"]
    assert list(tmp_path.iterdir()) == []
