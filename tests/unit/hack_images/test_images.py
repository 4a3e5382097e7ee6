"""Names, cached archives and loading."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from hack import images
from hack.cluster import Cluster
from hack.failure import Failure
from hack.images import registry
from hack.images.builders import Target
from hack.images.recipes import Recipe

CONTENT = "0123456789ab"


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """A machine with an empty cache, on which builds only write their archive; the list of what was built."""
    built: list[str] = []

    class Builder:
        def build(self, _: Recipe, target: Target) -> None:
            built.append(target.reference)
            target.archive.write_text(target.reference)

    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path))
    monkeypatch.setattr(registry, "within_reach", lambda: False)
    monkeypatch.setattr(images, "builder_here", Builder)
    images.reference.cache_clear()
    yield built
    images.reference.cache_clear()


def test_references_name_image_and_content() -> None:
    name, _, content = images.reference("operator").partition(":")
    assert name == "tandem.local/operator"
    assert len(content) == 12


def test_a_reference_stays_while_the_process_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    before = images.reference("operator")
    monkeypatch.setattr(images, "named", lambda _: Recipe("pyproject.toml", ".", ()))
    assert images.reference("operator") == before


def test_another_base_is_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    made_of_packages = images.reference("operator")
    images.reference.cache_clear()
    monkeypatch.setattr(registry, "within_reach", lambda: True)
    assert images.reference("operator") != made_of_packages


def test_says_which_images_there_are() -> None:
    with pytest.raises(
        Failure, match=r"no such image: engine\. There are: operator, orchestrator, orchestrator-full, engine-cpu"
    ):
        images.build("engine")


def test_builds_once(machine: list[str]) -> None:
    assert images.build("operator") == images.build("operator")
    assert machine == [images.reference("operator")]
    assert images.build("operator").read_text() == images.reference("operator")


def test_deletes_older_archives_of_the_same_image_only(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    others = [folder / f"engine-cpu-{CONTENT}.tar", folder / f"operator-x-{CONTENT}.tar", folder / "registry"]
    older = folder / f"operator-{CONTENT}.tar"
    for path in (*others, older):
        path.touch()
    archive = images.build("operator")
    assert set(folder.iterdir()) == {*others, archive}


def test_stops_before_a_build_that_the_disk_cannot_hold(monkeypatch: pytest.MonkeyPatch, machine: list[str]) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2**30}))
    with pytest.raises(Failure, match="building the image engine-cpu needs 14 GiB"):
        images.build("engine-cpu")
    assert machine == []


def test_a_failed_build_leaves_no_archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Broken:
        def build(self, _: Recipe, target: Target) -> None:
            target.archive.write_text("half")
            raise Failure("out of luck")

    monkeypatch.setattr(images, "builder_here", Broken)
    with pytest.raises(Failure):
        images.build("operator")
    assert not list((tmp_path / "images").glob("operator-*.tar"))


def test_loads_what_it_built() -> None:
    cluster = Mock(spec=Cluster)
    images.load(cluster, ["operator", "orchestrator"])
    loaded = [(call.args[0].read_text(), call.args[1]) for call in cluster.load.call_args_list]
    assert loaded == [(images.reference(name), images.reference(name)) for name in ("operator", "orchestrator")]


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A stand-in for the process that builds: it writes what it was given into the file, then waits for "go on"."""
    script = tmp_path / "builder"
    script.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/draft; mv {tmp_path}/draft {tmp_path}/given\n'
        f"for _ in $(seq 500); do [ ! -e {tmp_path}/go-on ] || break; sleep 0.02; done; touch {tmp_path}/built\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    return tmp_path


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_images_are_built_meanwhile_and_waited_for(builder: Path) -> None:
    with images.being_built(["operator", "demo-model"]):
        until((builder / "given").exists)
        assert not (builder / "built").exists()
        (builder / "go-on").touch()
    assert (builder / "built").exists()
    assert (builder / "given").read_text() == "-m hack build operator demo-model\n"


def test_what_fails_meanwhile_ends_the_building(builder: Path) -> None:
    def fail() -> None:
        until((builder / "given").exists)
        raise Failure("no root")

    with pytest.raises(Failure, match="no root"), images.being_built(["operator"]):
        fail()
    (builder / "go-on").touch()
    assert not (builder / "built").exists()
