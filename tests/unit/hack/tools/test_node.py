import re
import shutil
from pathlib import Path

import pytest

from hack import cache
from hack.tools import golang, node


def test_kubernetes_modules_are_all_of_one_release() -> None:
    kubernetes = node.version_of("k8s.io/kubernetes")
    replacements = dict(re.findall(r"^replace (\S+) => \S+ (\S+)$", (node.MODULE / "go.mod").read_text(), re.MULTILINE))
    assert set(replacements.values()) == {f"v0.{kubernetes.removeprefix('v1.')}"}
    assert "k8s.io/client-go" in replacements


def test_programs_know_their_version() -> None:
    variables = node.version_variables()
    assert variables["k8s.io/component-base/version.gitVersion"] == node.version_of("k8s.io/kubernetes")
    assert variables["k8s.io/client-go/pkg/version.gitMinor"] == "37"


def test_any_change_of_the_sources_asks_for_a_new_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(node.MODULE, tmp_path / "node")
    monkeypatch.setattr(node, "MODULE", tmp_path / "node")
    before = node.folder()
    assert node.folder() == before
    (tmp_path / "node" / "pause" / "main.go").write_text("package main")
    assert node.folder() != before


def test_one_build_gives_every_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(module: Path, packages: list[str], folder: Path, *, variables: dict[str, str]) -> None:
        folder.mkdir(parents=True)
        for name in node.COMMANDS:
            (folder / name).write_text(name)

    monkeypatch.setattr(golang, "build", build)
    folder = node.ensure()
    assert cache.root() in folder.parents
    assert all((folder / program).exists() for program in node.PROGRAMS)
    assert (folder / "kubelet").read_text() == "node"


def test_every_link_is_a_program_of_the_binary() -> None:
    source = (node.MODULE / "main.go").read_text()
    assert set(re.findall(r'^\t"([a-z-]+)": ', source, re.MULTILINE)) == set(node.LINKS)
