"""kubectl against one cluster."""

from dataclasses import dataclass
from pathlib import Path

from hack import tools
from hack.command import run


@dataclass(frozen=True)
class Kubectl:
    """kubectl for the cluster of a kubeconfig."""

    kubeconfig: Path

    def __call__(self, *arguments: str, text: str | None = None) -> str:
        """Run `kubectl ARGUMENTS` with `text` as its input, and return its output. Failure where it fails."""
        return run([tools.executable("kubectl"), "--kubeconfig", self.kubeconfig, *arguments], text=text)
