"""Install the operator into a cluster with its Helm chart."""

import shlex
from pathlib import Path
from typing import Final

from hack import images, tools
from hack.command import run
from hack.progress import say, step

CHART: Final = Path(__file__).parent.parent / "charts" / "tandem-operator"
NAMESPACE: Final = "tandem-system"
RELEASE: Final = "tandem-operator"


def operator(kubeconfig: Path, *, echo: bool = False) -> None:
    """Install or upgrade the operator from the chart, with the images built here as defaults."""
    repository, tag = images.reference("operator").rsplit(":", 1)
    values = {
        "image.repository": repository,
        "image.tag": tag,
        "images.orchestrator": images.reference("orchestrator"),
        "images.orchestratorFull": images.reference("orchestrator-full"),
        "images.engineCpu": images.reference("engine-cpu"),
    }
    arguments = [
        *("upgrade", "--install", RELEASE, str(CHART)),
        *("--namespace", NAMESPACE, "--create-namespace"),
        *(f"--set={name}={value}" for name, value in values.items()),
        "--force-conflicts",  # a `kubectl scale` of the operator does not stop an upgrade
        *("--wait", "--timeout", "3m"),
    ]
    if echo:
        say(f"$ helm {shlex.join(arguments)}")
    with step("installing the operator"):
        run([tools.ensure("helm") / "helm", *arguments], env={"KUBECONFIG": str(kubeconfig)})
