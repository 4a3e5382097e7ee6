"""manifests/samples: each fits the definition and becomes restricted pods and objects that fit Kubernetes 1.37."""

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from hack.generation.values import version_schema
from tests.unit.charts import helm
from tests.unit.charts.helm import ROOT, Json
from tests.unit.charts.schemas import crd, problems, unrestricted

SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))
NAMES = [path.stem for path in SAMPLES]
REFUSED = (
    ".file",
    ".apiKeyFile",
    ".apiKeyValue",
    ".keys.values",
)  # there for a message that says what to write instead
SERVICE_MONITOR = "monitoring.coreos.com/v1/ServiceMonitor"


def read(path: Path) -> Json:
    document: Json = yaml.safe_load(path.read_text())
    return document


@cache
def children() -> list[Json]:
    """What all samples become, from one run of the operator's `render`."""
    program = Path(sys.executable).with_name("tandem-operator")
    argv = map(str, (program, "render", "--capabilities", SERVICE_MONITOR, *SAMPLES))
    result = subprocess.run([*argv], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return list(yaml.load_all(result.stdout, yaml.CSafeLoader))


def of(sample: Path) -> list[Json]:
    name = read(sample)["metadata"]["name"]
    return [item for item in children() if item["metadata"]["labels"]["tandem.dev/llmservice"] == name]


@pytest.mark.parametrize("path", SAMPLES, ids=NAMES)
def test_fits_the_definition(path: Path) -> None:
    assert problems(read(path)) == []


@pytest.mark.parametrize("path", SAMPLES, ids=NAMES)
def test_becomes_objects_that_fit_their_schemas(path: Path) -> None:
    assert {"Deployment", "Service", "ConfigMap", "Secret"} <= {item["kind"] for item in of(path)}
    assert [problem for item in of(path) for problem in problems(item)] == []


@pytest.mark.parametrize("path", SAMPLES, ids=NAMES)
def test_becomes_restricted_pods(path: Path) -> None:
    pods = [item["spec"]["template"]["spec"] for item in of(path) if item["kind"] == "Deployment"]
    assert len(pods) == 2
    assert [problem for pod in pods for problem in unrestricted(pod)] == []


def test_the_operator_may_make_every_child() -> None:
    (role,) = (
        item
        for item in helm.template(helm.OPERATOR)
        if (item["kind"], item["metadata"]["name"]) == ("ClusterRole", "tandem-operator")
    )
    allowed = {
        (group, resource)
        for rule in role["rules"]
        if {"get", "list", "watch", "create", "patch", "delete"} <= set(rule["verbs"])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    needed = {(item["apiVersion"].rpartition("/")[0], plural(item["kind"])) for item in children()}
    assert needed == allowed


def plural(kind: str) -> str:
    lower = kind.lower()
    return f"{lower[:-1]}ies" if lower.endswith("y") else f"{lower}s"


def test_full_has_every_field() -> None:
    schema = version_schema(crd())["properties"]["spec"]
    full = set(written("spec", read(ROOT / "manifests" / "samples" / "full.yaml")["spec"]))
    shown_once = ("spec.engine.env.", "spec.engine.tolerations.")
    full |= {path.replace("engine", "orchestrator", 1) for path in full if path.startswith(shown_once)}
    wanted = {path for path in defined("spec", schema) if not path.endswith(REFUSED) and ".affinity." not in path}
    assert sorted(wanted - full) == []


def defined(path: str, schema: Json) -> Iterator[str]:
    """The path of every field of a schema; a list's items have its path."""
    schema = schema.get("items", schema)
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from defined(f"{path}.{name}", field)


def written(path: str, value: object) -> Iterator[str]:
    """The path of every field of a document."""
    if isinstance(value, list):
        for item in value:
            yield from written(path, item)
    elif isinstance(value, dict):
        for name, field in value.items():
            yield f"{path}.{name}"
            yield from written(f"{path}.{name}", field)
