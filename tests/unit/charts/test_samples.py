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
    ".previousApiKeyFile",
    ".apiKeyValue",
    ".keys.values",
)  # there for a message that says what to write instead
SERVICE_MONITOR = "monitoring.coreos.com/v1/ServiceMonitor"


ALTERNATIVES = (
    "spec.model.cache.claimName",
    "spec.embeddingEngine.model.cache.claimName",
    "spec.additionalEngines.model.cache.claim",
    "spec.model.file",
    "spec.embeddingEngine.model.file",
    "spec.orchestrator.state.sqlite",
    "spec.orchestrator.config.database.url",
    "spec.orchestrator.files.claim",
    "spec.orchestrator.retrieval.embedding.path",
)
"""Fields in whose place full.yaml has others."""
MAPS = ("spec.additionalEngines",)
EVERYTHING = {"get", "list", "watch", "create", "patch", "delete"}
LESS: dict[tuple[str, str], set[str]] = {
    ("", "persistentvolumeclaims"): EVERYTHING - {"delete"},  # what is on them goes with the service alone
    ("batch", "jobs"): EVERYTHING - {"patch"},  # each is made once
}


def documents(path: Path) -> list[Json]:
    return list(yaml.safe_load_all(path.read_text()))


def read(path: Path) -> Json:
    """The LLMService of a sample."""
    (service,) = (document for document in documents(path) if document["kind"] == "LLMService")
    return service


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
    assert [problem for document in documents(path) for problem in problems(document)] == []


@pytest.mark.parametrize("path", SAMPLES, ids=NAMES)
def test_becomes_objects_that_fit_their_schemas(path: Path) -> None:
    assert {"Deployment", "Service", "ConfigMap", "Secret"} <= {item["kind"] for item in of(path)}
    assert [problem for item in of(path) for problem in problems(item)] == []


@pytest.mark.parametrize("path", SAMPLES, ids=NAMES)
def test_becomes_restricted_pods(path: Path) -> None:
    pods = [item["spec"]["template"]["spec"] for item in of(path) if item["kind"] in ("Deployment", "Job")]
    assert len(pods) >= 2
    assert [problem for pod in pods for problem in unrestricted(pod)] == []


def test_the_operator_may_make_every_child() -> None:
    (role,) = (
        item
        for item in helm.template(helm.OPERATOR)
        if (item["kind"], item["metadata"]["name"]) == ("ClusterRole", "tandem-operator")
    )
    granted = {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    needed = {(item["apiVersion"].rpartition("/")[0], plural(item["kind"])) for item in children()}
    assert {child: granted.get(child) for child in needed} == {child: LESS.get(child, EVERYTHING) for child in needed}
    assert {child for child, verbs in granted.items() if verbs >= EVERYTHING} <= needed


def plural(kind: str) -> str:
    lower = kind.lower()
    return f"{lower[:-1]}ies" if lower.endswith("y") else f"{lower}s"


def test_full_has_every_field() -> None:
    schema = version_schema(crd())["properties"]["spec"]
    full = set(written("spec", read(ROOT / "manifests" / "samples" / "full.yaml")["spec"]))
    shown_once = ("spec.engine.env.", "spec.engine.tolerations.")
    full |= {path.replace("engine", "orchestrator", 1) for path in full if path.startswith(shown_once)}
    full |= {path.replace("engine", "additionalEngines", 1) for path in full if path.startswith("spec.engine.")}
    full |= {path.replace("additionalEngines", "engine", 1) for path in full if ".additionalEngines.external" in path}
    wanted = {path for path in defined("spec", schema) if not path.endswith(REFUSED) and ".affinity." not in path}
    assert sorted(path for path in wanted - full if not path.startswith(ALTERNATIVES)) == []


def test_what_full_cannot_have_is_in_a_sample_of_its_own() -> None:
    schema = version_schema(crd())["properties"]["spec"]["properties"]["orchestrator"]["properties"]
    claim = schema["files"]["properties"]["claim"]
    wanted = {
        "spec.model.file",
        "spec.embeddingEngine.model.file",
        "spec.engine.speculativeDecoding.model.file",
        *(path for path in defined("spec.orchestrator.state", schema["state"]) if not path.endswith(REFUSED)),
        *defined("spec.orchestrator.files.claim", claim),
    }
    shown = {
        path
        for name in ("sqlite", "postgres", "files", "llamacpp", "speculative")
        for path in written("spec", read(sample(name))["spec"])
    }
    assert sorted(wanted - shown) == []


def test_the_secret_of_a_sample_is_that_of_its_cluster() -> None:
    cluster, _ = documents(sample("postgres"))
    url = read(sample("postgres"))["spec"]["orchestrator"]["state"]["postgres"]["urlFrom"]
    assert url == {"secretName": f"{cluster['metadata']['name']}-app", "secretKey": "uri"}


def test_the_tasks_of_a_sample_are_those_of_the_example() -> None:
    """One is read from an LLMService, the other from a ConfigMap or a file."""
    (example,) = documents(ROOT / "examples" / "tasks" / "tickets.yaml")
    assert read(sample("tasks"))["spec"]["orchestrator"]["config"]["tasks"] == example["tasks"]


def sample(name: str) -> Path:
    return ROOT / "manifests" / "samples" / f"{name}.yaml"


def defined(path: str, schema: Json) -> Iterator[str]:
    """The path of every field of a schema; the items of a list and the values of a map have its path."""
    if "properties" in (values := schema.get("additionalProperties") or {}):
        schema = values
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
            here = f"{path}.{name}"
            yield here
            yield from written(here, [*field.values()] if here in MAPS else field)
