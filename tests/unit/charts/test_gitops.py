"""manifests/gitops: its charts, values, paths and names exist, and Argo CD reads an LLMService's health rightly."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa.lua51 import LuaRuntime  # Argo CD runs Lua 5.1

from tests.unit.charts import helm
from tests.unit.charts.helm import ROOT, Json
from tests.unit.charts.schemas import crd, problems

GITOPS = ROOT / "manifests" / "gitops"
CHARTS = "ghcr.io/tandem-dev/charts"


def read(path: str) -> dict[tuple[str, str], Json]:
    """A file's objects by kind and name."""
    documents = yaml.safe_load_all((GITOPS / path).read_text())
    return {(item["kind"], item["metadata"]["name"]): item for item in documents}


def rendered(chart: Path, version: str, values: Json) -> list[Json]:
    """What a chart of the project renders; `version` must be its own."""
    description = yaml.safe_load((chart / "Chart.yaml").read_text())
    assert version == description["version"]
    return helm.template(chart, values)


@pytest.mark.parametrize("name", ["operator", "llmservice"])
def test_argo_applications_install_the_charts(name: str) -> None:
    (application,) = read(f"argocd/{name}.yaml").values()
    source = application["spec"]["source"]
    assert source["repoURL"] == CHARTS
    objects = rendered(ROOT / "charts" / source["chart"], source["targetRevision"], source["helm"]["valuesObject"])
    assert [problem for item in objects for problem in problems(item)] == []


def test_argo_leaves_scaling_alone() -> None:
    (application,) = read("argocd/llmservice.yaml").values()
    (ignored,) = application["spec"]["ignoreDifferences"]
    definition = crd()["spec"]
    scaled = definition["versions"][0]["subresources"]["scale"]["specReplicasPath"]
    assert ignored["jsonPointers"] == [scaled.replace(".", "/")]
    assert (ignored["group"], ignored["kind"]) == (definition["group"], definition["names"]["kind"])
    assert "RespectIgnoreDifferences=true" in application["spec"]["syncPolicy"]["syncOptions"]


def test_flux_installs_the_chart() -> None:
    objects = read("flux/operator/operator.yaml")
    release = objects["HelmRelease", "tandem-operator"]["spec"]
    source = objects[release["chartRef"]["kind"], release["chartRef"]["name"]]["spec"]
    assert source["url"] == f"oci://{CHARTS}/tandem-operator"
    (values,) = [rendered(helm.OPERATOR, source["ref"]["tag"], release["values"])]
    assert [problem for item in values for problem in problems(item)] == []


def test_flux_kustomizations_point_at_what_is_there() -> None:
    objects = read("flux/tandem.yaml")
    kustomizations = {name: item["spec"] for (kind, name), item in objects.items() if kind == "Kustomization"}
    for spec in kustomizations.values():
        assert list((ROOT / spec["path"]).glob("*.yaml"))
        assert (spec["sourceRef"]["kind"], spec["sourceRef"]["name"]) in objects
        assert {entry["name"] for entry in spec.get("dependsOn", [])} <= kustomizations.keys()
    (check,) = kustomizations["tandem-services"]["healthChecks"]
    service = read("service/llmservice.yaml")[check["kind"], check["name"]]
    assert (service["apiVersion"], service["metadata"]["namespace"]) == (check["apiVersion"], check["namespace"])


@pytest.mark.parametrize("path", ["flux/operator/operator.yaml", "service/llmservice.yaml", "argocd/argocd-cm.yaml"])
def test_what_has_a_schema_fits_it(path: str) -> None:
    known = [item for item in read(path).values() if ".fluxcd.io/" not in item["apiVersion"]]
    assert known
    assert [problem for item in known for problem in problems(item)] == []


def health(service: Json) -> tuple[str, str]:
    """Status and message that Argo CD shows."""
    (config,) = read("argocd/argocd-cm.yaml").values()
    lua: Any = LuaRuntime(unpack_returned_tuples=True)
    lua.globals().obj = lua.table_from(service, recursive=True)
    verdict = lua.execute(config["data"]["resource.customizations.health.tandem.dev_LLMService"])
    return verdict["status"], verdict["message"]


def llmservice(*, suspend: bool = False, generation: int = 2, **conditions: str) -> Json:
    """An LLMService whose status is about generation 2."""
    return {
        "metadata": {"name": "chat", "generation": generation},
        "spec": {"suspend": suspend},
        "status": {
            "observedGeneration": 2,
            "conditions": [
                {"type": kind, "status": status, "reason": f"Why{kind}", "message": f"about {kind}"}
                for kind, status in conditions.items()
            ],
        },
    }


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ({"metadata": {"generation": 1}, "spec": {}}, ("Progressing", "Waiting for the operator")),
        (
            {"metadata": {"generation": 1}, "spec": {}, "status": {"observedGeneration": -1}},
            ("Progressing", "Waiting for the operator"),
        ),
        (llmservice(generation=3, Ready="True"), ("Progressing", "Waiting for the operator")),
        (llmservice(Ready="True", Reconciling="False", Stalled="False"), ("Healthy", "WhyReady: about Ready")),
        (llmservice(Ready="False", Reconciling="True"), ("Progressing", "WhyReady: about Ready")),
        (llmservice(Ready="False", Stalled="True"), ("Degraded", "WhyStalled: about Stalled")),
        (llmservice(Ready="Unknown"), ("Progressing", "WhyReady: about Ready")),
        (llmservice(suspend=True, Ready="False"), ("Suspended", "WhyReady: about Ready")),
        (llmservice(), ("Progressing", "Waiting for the operator")),
    ],
)
def test_argo_health(service: Json, expected: tuple[str, str]) -> None:
    assert health(service) == expected
