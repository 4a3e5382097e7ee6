from pathlib import Path

import pytest

from hack import tools
from hack.failure import Failure
from hack.tools import debian


def test_an_unknown_tool_is_answered_with_those_that_exist() -> None:
    with pytest.raises(Failure, match=r"no such tool: hammer\. There are: .*kubectl.*runc"):
        tools.folders("hammer")


def test_folders_come_once_and_debian_is_asked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(debian, "ensure", asked.append)
    monkeypatch.setattr(debian, "folder", lambda _: tmp_path / "system")
    monkeypatch.setitem(tools.SOURCES, "etcd", lambda: tmp_path / "node")
    monkeypatch.setitem(tools.SOURCES, "kubelet", lambda: tmp_path / "node")
    assert tools.folders("runc", "etcd", "iptables", "kubelet") == [tmp_path / "system", tmp_path / "node"]
    assert asked == [["runc", "iptables"]]
    assert tools.executable("etcd") == tmp_path / "node" / "etcd"
