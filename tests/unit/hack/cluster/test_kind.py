import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hack import tools
from hack.cluster import kind


def test_a_cluster_is_created_with_our_name_image_and_kubeconfig() -> None:
    assert " ".join(kind.creation(Path("/cache/kubeconfig"), "kindest/node:v1")) == (
        "create cluster --name tandem --kubeconfig /cache/kubeconfig --image kindest/node:v1 --wait 180s"
    )


def test_an_image_is_loaded_from_its_archive_unless_the_node_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []

    def run(argv: list[str]) -> str:
        commands.append([str(part) for part in argv])
        return '{"images": [{"repoTags": ["tandem.local/operator:1"]}]}'

    monkeypatch.setattr(kind, "run", run)
    monkeypatch.setattr(tools, "executable", Path)
    kind.Kind().load(Path("/cache/operator.tar"), "tandem.local/operator:1")
    assert [command[0] for command in commands] == ["docker"]
    kind.Kind().load(Path("/cache/operator.tar"), "tandem.local/operator:2")
    assert commands[-1] == ["kind", "load", "image-archive", "/cache/operator.tar", "--name", "tandem"]


def test_a_daemon_that_hangs_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: Any, timeout: float, **__: Any) -> None:
        raise subprocess.TimeoutExpired("docker", timeout)

    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/docker")
    monkeypatch.setattr(subprocess, "run", hang)
    assert not kind.docker_answers()
