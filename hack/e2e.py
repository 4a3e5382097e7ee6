"""`make test-e2e`: the tests in tests/e2e on a real cluster, which is started for them where none runs."""

import os
import subprocess
from pathlib import Path
from typing import Final

from hack import cluster, images, install
from hack.cluster.kubectl import Kubectl
from hack.failure import Failure
from hack.progress import say

PROJECT: Final = Path(__file__).parent.parent
IMAGES: Final = (*images.NAMES, *images.TEST_NAMES)


def run(arguments: list[str]) -> None:
    """Run the tests (`arguments` go to pytest); raises Failure where one fails."""
    target = cluster.provider()
    running = target.running()
    try:
        with images.being_built(IMAGES):
            target.up()
        images.load(target, IMAGES)
        install.operator(target.kubeconfig)
        status = pytest(target.kubeconfig, arguments)
        if status != 0:
            diagnose(target.kubeconfig)
            raise Failure(f"pytest tests/e2e ended with {status}; the failures are above")
    finally:
        if not running:
            target.down()


def pytest(kubeconfig: Path, arguments: list[str]) -> int:
    """Run pytest; returns its exit status."""
    argv = [str(PROJECT / ".venv" / "bin" / "pytest"), "-v", "--durations=10", "tests/e2e", *arguments]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    return subprocess.run(argv, cwd=PROJECT, env=environment, check=False).returncode


def diagnose(kubeconfig: Path) -> None:
    """Show what a person would look at first."""
    kubectl = Kubectl(kubeconfig)
    for arguments in (
        ("get", "llm,pods", "--all-namespaces"),
        ("events", "--all-namespaces"),
        (
            "logs",
            "--namespace",
            install.NAMESPACE,
            "--selector=app.kubernetes.io/name=tandem-operator",
            "--tail=60",
        ),
    ):
        say(f"$ kubectl {' '.join(arguments)}")
        subprocess.run(kubectl.argv(*arguments), check=False)
