"""The hash that names an image."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hack.failure import Failure
from hack.images import content


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "operator").mkdir()
    (tmp_path / "operator/main.py").write_text("print()")
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    return tmp_path


def digest(project: Path, **settings: str) -> str:
    return content.digest(project, ["Dockerfile", "operator"], settings)


def test_is_twelve_hexadecimal_digits(project: Path) -> None:
    assert len(digest(project)) == 12
    assert int(digest(project), 16)


def test_stays_the_same(project: Path) -> None:
    assert digest(project, base="a", uv="b") == digest(project, uv="b", base="a")


def test_does_not_depend_on_where_the_project_is(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("elsewhere")
    (project / "operator").rename(other / "operator")
    (other / "Dockerfile").write_text("FROM scratch")
    (project / "operator").mkdir()
    (project / "operator/main.py").write_text("print()")
    assert digest(project) == digest(other)


@pytest.mark.parametrize(
    "change",
    [
        lambda project: (project / "operator/main.py").write_text("print(1)"),
        lambda project: (project / "operator/main.py").rename(project / "operator/other.py"),
        lambda project: (project / "operator/new.py").touch(),
        lambda project: (project / "Dockerfile").write_text("FROM debian"),
    ],
    ids=["content", "name", "new file", "Dockerfile"],
)
def test_changes_with_every_file(project: Path, change: Callable[[Path], object]) -> None:
    before = digest(project)
    change(project)
    assert digest(project) != before


def test_changes_with_settings(project: Path) -> None:
    assert digest(project, base="debian:12") != digest(project, base="debian:13")


def test_a_border_between_files_matters(project: Path) -> None:
    (project / "operator/a").write_text("xy")
    (project / "operator/b").write_text("")
    before = digest(project)
    (project / "operator/a").write_text("x")
    (project / "operator/b").write_text("y")
    assert digest(project) != before


def test_leaves_out_what_dockerignore_leaves_out(project: Path) -> None:
    before = digest(project)
    (project / "operator/__pycache__").mkdir()
    (project / "operator/__pycache__/main.pyc").touch()
    (project / "operator/.mypy_cache").mkdir()
    (project / "operator/.mypy_cache/x").touch()
    (project / "operator/.hidden").touch()
    assert digest(project) == before


def test_says_what_is_missing(project: Path) -> None:
    with pytest.raises(Failure, match="model is missing"):
        content.digest(project, ["model"], {})
