"""kubectl against one cluster."""

import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hack import progress, tools
from hack.command import run


@dataclass(frozen=True)
class Kubectl:
    """kubectl for the cluster of a kubeconfig; with `echo` every command is shown as a person would type it."""

    kubeconfig: Path
    echo: bool = False

    def __call__(self, *arguments: str | Path, text: str | None = None) -> str:
        """Run `kubectl ARGUMENTS` with `text` as its input, and return its output. Failure where it fails."""
        self.show(*arguments)
        return run(self.argv(*arguments), text=text)

    def ok(self, *arguments: str) -> bool:
        """Return whether a command succeeds; nothing is shown."""
        return subprocess.run(self.argv(*arguments), capture_output=True, check=False).returncode == 0

    def argv(self, *arguments: str | Path) -> list[str]:
        """Return the whole command line."""
        return [str(tools.executable("kubectl")), f"--kubeconfig={self.kubeconfig}", *map(str, arguments)]

    def show(self, *arguments: str | Path) -> None:
        """Print a command, without what KUBECONFIG and PATH make unnecessary."""
        if self.echo:
            progress.say(f"$ kubectl {shlex.join(map(str, arguments))}")
