"""Install the operator into a cluster with its Helm chart."""

import shlex
import subprocess
from pathlib import Path

from hack import images, tools
from hack.command import run
from hack.progress import say, step

CHART = Path(__file__).parent.parent / "charts" / "tandem-operator"
NAMESPACE = "tandem-system"
RELEASE = "tandem-operator"


class Kubectl:
    """kubectl for one cluster; with `echo` every command is shown as a person would type it."""

    def __init__(self, kubeconfig: Path, *, echo: bool = False) -> None:
        self.kubeconfig = kubeconfig
        self.folder = tools.ensure("kubectl")
        self._echo = echo

    def __call__(self, *arguments: str | Path, text: str | None = None) -> str:
        """Run it; returns its output, raises Failure where it fails."""
        argv = self.argv(*arguments)
        self.show(argv)
        return run(argv, text=text)

    def ok(self, *arguments: str) -> bool:
        """Whether a command succeeds; nothing is shown."""
        return subprocess.run(self.argv(*arguments), capture_output=True, check=False).returncode == 0

    def argv(self, *arguments: str | Path) -> list[str]:
        """The whole command line."""
        return [str(self.folder / "kubectl"), f"--kubeconfig={self.kubeconfig}", *map(str, arguments)]

    def show(self, argv: list[str]) -> None:
        """Print a command without what KUBECONFIG and PATH make unnecessary."""
        if self._echo:
            say(f"$ kubectl {shlex.join(argv[2:])}")


def operator(kubeconfig: Path, *, echo: bool = False) -> None:
    """Install or upgrade the operator from the chart, with the images built here as defaults."""
    repository, tag = images.reference("operator").rsplit(":", 1)
    values = {
        "image.repository": repository,
        "image.tag": tag,
        "images.orchestrator": images.reference("orchestrator"),
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
