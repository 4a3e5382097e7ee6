"""Helm and kubectl as an administrator of one API server uses them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from hack import tools

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "tandem-operator"
RELEASE = "tandem-operator"


@dataclass(frozen=True)
class Installation:
    """One API server, and what is installed there."""

    kubeconfig: Path

    def run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        argv = [str(tools.executable(program)), *map(str, arguments)]
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)

    def do(self, program: str, *arguments: str | Path) -> str:
        """Run a command that must succeed; its output."""
        result = self.run(program, *arguments)
        assert result.returncode == 0, f"{program} {' '.join(map(str, arguments))}: {result.stderr}"
        return result.stdout

    def names(self, kinds: str) -> list[str]:
        return self.do("kubectl", "get", kinds, "--all-namespaces", "--output=name").split()

    @contextmanager
    def installed(self, namespace: str, *options: str | Path) -> Iterator[None]:
        """The chart is installed inside the block."""
        where = ("--namespace", namespace)
        self.do("helm", "install", RELEASE, CHART, *where, "--create-namespace", *options)
        self.do("kubectl", "wait", "--for=condition=Established", "crd/llmservices.tandem.dev", "--timeout=60s")
        try:
            yield
        finally:
            self.do("helm", "uninstall", RELEASE, *where)

    @contextmanager
    def operator(self, namespace: str, log: Path, *arguments: str) -> Iterator[None]:
        """The operator runs inside the block with the rights that the chart gave it, and nothing was denied to it."""
        token = self.do("kubectl", "--namespace", namespace, "create", "token", RELEASE).strip()
        kubeconfig = log.with_suffix(".kubeconfig")
        config = yaml.safe_load(self.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        kubeconfig.write_text(yaml.safe_dump(config))
        program = str(Path(sys.executable).with_name("tandem-operator"))
        argv = [program, "run", "--leader-elect", f"--lease-namespace={namespace}", "--metrics-port=0", *arguments]
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        with log.open("w") as output, subprocess.Popen(argv, env=environment, stdout=output, stderr=output) as process:
            try:
                yield
            finally:
                process.terminate()
        assert [line for line in log.read_text().splitlines() if "orbidden" in line] == []
