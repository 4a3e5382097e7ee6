from pathlib import Path

import pytest

from hack.cluster import modules
from hack.failure import Failure


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel into which only br_netfilter can be loaded."""

    def modprobe(argv: list[str]) -> None:
        if argv[1] == "br_netfilter":
            (tmp_path / "sys/net/bridge").mkdir(parents=True)
            (tmp_path / "sys/net/bridge/bridge-nf-call-iptables").touch()

    monkeypatch.setattr(modules, "run", modprobe)
    monkeypatch.setattr("hack.tools.executable", lambda name: f"/sbin/{name}")
    (tmp_path / "filesystems").write_text("nodev\tsysfs\nnodev\toverlay\n")
    return tmp_path


def test_what_is_missing_is_loaded(proc: Path) -> None:
    modules.load(proc)
    modules.load(proc)


def test_what_cannot_be_loaded_is_named(proc: Path) -> None:
    (proc / "filesystems").write_text("nodev\tsysfs\n")
    with pytest.raises(Failure, match="lacks overlay"):
        modules.load(proc)
