import os
from pathlib import Path
from typing import Any

import pytest

from hack.cluster import cgroups
from hack.failure import Failure


@pytest.fixture
def unified(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("")
    return tmp_path


@pytest.fixture
def split(tmp_path: Path) -> Path:
    for name in ("cpu", "memory", "pids"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    (tmp_path / "cpuacct").symlink_to("cpu")
    return tmp_path


def test_version_2_hands_its_controllers_on(unified: Path) -> None:
    cgroups.check(unified)
    cgroups.create(unified)
    assert (unified / "tandem").is_dir()
    assert (unified / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_version_1_has_one_group_in_every_hierarchy(split: Path) -> None:
    cgroups.check(split)
    cgroups.create(split)
    cgroups.create(split)
    assert sorted(path.parent.name for path in split.glob("*/tandem") if not path.parent.is_symlink()) == [
        "cpu",
        "memory",
        "pids",
    ]


def test_a_machine_without_a_controller_is_refused_by_name(unified: Path) -> None:
    (unified / "cgroup.controllers").write_text("cpu\n")
    with pytest.raises(Failure, match="controllers memory, pids"):
        cgroups.check(unified)


def test_removal_kills_what_is_left_and_takes_the_groups_away(split: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = split / "memory" / "tandem" / "kubepods" / "pod1"
    pod.mkdir(parents=True)
    (pod / "cgroup.procs").write_text("41\n42\n")
    killed = []

    def kill(pid: int, _: Any) -> None:
        killed.append(pid)
        if pid == 42:
            (pod / "cgroup.procs").unlink()
            raise ProcessLookupError

    monkeypatch.setattr(os, "kill", kill)
    cgroups.remove(split)
    assert set(killed) == {41, 42}
    assert not (split / "memory" / "tandem").exists()
    assert (split / "memory").exists()


def test_removal_does_not_wait_for_ever(unified: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (unified / "tandem").mkdir()
    (unified / "tandem" / "cgroup.procs").write_text("41\n")
    monkeypatch.setattr(os, "kill", lambda *_: None)
    monkeypatch.setattr(cgroups, "END_SECONDS", 0.1)
    with pytest.raises(Failure, match="do not end: 41"):
        cgroups.remove(unified)


def test_there_may_be_nothing_to_remove(split: Path) -> None:
    cgroups.remove(split)
