import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from hack import cache, tools
from hack.cluster import checks, local, network
from hack.cluster.processes import Processes
from hack.failure import Failure


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that could run the cluster, and on which nothing is done."""
    monkeypatch.setattr(local, "STATE", tmp_path / "run")
    monkeypatch.setattr(local, "OWNER", tmp_path / "run" / "owner")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(checks, "_free", lambda _: True)
    for module, name in ((tools, "folders"), (network, "set_up")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("something was done before every check had passed"))


def test_the_owner_of_another_cluster_is_named_with_the_command_that_ends_it(machine: None, tmp_path: Path) -> None:
    others = Processes(tmp_path / "elsewhere" / "cluster")
    others.start("etcd", Path("/bin/sleep"), ["600"])
    local.STATE.mkdir()
    local.OWNER.write_text(str(tmp_path / "elsewhere" / "cluster"))
    try:
        with pytest.raises(Failure, match=f"TANDEM_CACHE={tmp_path}/elsewhere python3 -m hack down"):
            local.Local().up()
    finally:
        others.stop("etcd")


@pytest.mark.parametrize(
    ("what", "broken", "message"),
    [
        ((os, "geteuid"), lambda: 1000, "needs root"),
        ((checks, "_free"), lambda port: port != 10250, "listens on: 10250"),
        ((shutil, "disk_usage"), lambda _: (0, 0, 2 * checks.GIB), None),
        ((checks, "available_memory"), lambda _: checks.GIB // 2, "3.0 GiB of free memory; 0.5 GiB are available"),
    ],
)
def test_a_machine_that_cannot_run_it_is_refused_before_anything_is_done(
    machine: None, monkeypatch: pytest.MonkeyPatch, what: tuple[Any, str], broken: Any, message: str | None
) -> None:
    if message is None:
        usage = type("usage", (), {"free": 2 * checks.GIB})
        monkeypatch.setattr(*what, lambda _: usage)
        message = "9 GiB of disk .* 2.0 GiB are free"
    else:
        monkeypatch.setattr(*what, broken)
    with pytest.raises(Failure, match=message):
        local.Local().up()


def test_images_whose_archive_is_gone_are_outdated_and_those_of_others_are_not() -> None:
    archive = cache.image("engine-cpu", "0123456789ab")
    archive.parent.mkdir(parents=True)
    archive.touch()
    images = ["tandem.local/engine-cpu:0123456789ab", "tandem.local/engine-cpu:old", "ghcr.io/a/b:1", "sha256:12"]
    assert [image for image in images if local._is_outdated(image)] == ["tandem.local/engine-cpu:old"]


def test_status_names_what_does_not_run_and_where_to_look() -> None:
    parts = {part.name: part for part in local.Local().status()}
    assert set(local.PROCESS_PORTS) < set(parts)
    assert not any(part.well for part in parts.values())
    assert "kubelet.log" in parts["kubelet"].text
    assert parts["API"].text == "does not answer"
