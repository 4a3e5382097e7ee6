"""Helm on the project's charts, without a cluster."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hack import tools

Json = dict[str, Any]

ROOT = Path(__file__).parents[3]
OPERATOR = ROOT / "charts" / "tandem-operator"
LLMSERVICE = ROOT / "charts" / "llmservice"


def template(
    chart: Path,
    values: Json | None = None,
    *,
    release: str = "tandem-operator",
    namespace: str = "tandem-system",
    apis: tuple[str, ...] = (),
) -> list[Json]:
    """The objects that the chart renders with these values."""
    options = ["--namespace", namespace, *(f"--api-versions={api}" for api in apis)]
    text = output("template", release, str(chart), *options, values=json.dumps(values or {}))
    return parsed(text)


def notes(chart: Path, values: Json | None = None, *, release: str = "tandem-operator") -> str:
    """What `helm install` prints at its end."""
    text = output("install", release, str(chart), "--dry-run=client", "-n=models", values=json.dumps(values or {}))
    return text.partition("NOTES:\n")[2]


def refusal(chart: Path, values: Json) -> str:
    """What Helm says about values that it must refuse."""
    result = run("template", "refused", str(chart), values=json.dumps(values))
    assert result.returncode != 0, f"accepted: {values}"
    return result.stderr


@cache
def parsed(text: str) -> list[Json]:
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


@cache
def output(*arguments: str, values: str = "{}") -> str:
    result = run(*arguments, values=values)
    assert result.returncode == 0, f"helm {' '.join(arguments)}: {result.stderr}"
    return result.stdout


def run(*arguments: str, values: str) -> subprocess.CompletedProcess[str]:
    argv = [str(tools.executable("helm")), *arguments, "--values=-"]
    return subprocess.run(argv, input=values, capture_output=True, text=True, check=False)
