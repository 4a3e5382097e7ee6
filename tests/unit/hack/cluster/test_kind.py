import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hack import tools
from hack.cluster import kind
from hack.cluster.kubectl import Kubectl
from hack.tools import node


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


def test_metrics_come_from_the_public_image_and_nothing_is_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    applied: list[str] = []
    monkeypatch.setattr(kind, "run", lambda _: "")
    monkeypatch.setattr(tools, "executable", Path)
    monkeypatch.setattr(Kubectl, "__call__", lambda _, *arguments, text="": applied.append(text or arguments[0]))
    kind.Kind().up()
    manifest = applied[0]
    assert f"image: {kind.pinned('metrics-server')}\n" in manifest
    assert "--kubelet-insecure-tls" in manifest
    assert node_version() in kind.pinned("metrics-server")


def node_version() -> str:
    """What the local cluster has: both are to be of one version."""
    return node.version_of("sigs.k8s.io/metrics-server")


def test_a_daemon_that_hangs_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: Any, timeout: float, **__: Any) -> None:
        raise subprocess.TimeoutExpired("docker", timeout)

    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/docker")
    monkeypatch.setattr(subprocess, "run", hang)
    assert not kind.docker_answers()
