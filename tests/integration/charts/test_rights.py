"""The rights that the chart gives are all that the operator needs."""

import json
from pathlib import Path

import pytest

from tests.e2e.cluster import eventually
from tests.integration.charts.installation import ROOT, Installation

STATE = ROOT / "manifests" / "samples" / "sqlite.yaml"
POSTGRES = {
    "apiVersion": "tandem.dev/v1alpha1",
    "kind": "LLMService",
    "metadata": {"name": "shared"},
    "spec": {
        "model": {"source": "hf://org/model"},
        "orchestrator": {"state": {"postgres": {"urlFrom": {"secretName": "qwen-url", "secretKey": "uri"}}}},
    },
}
SAMPLE = ROOT / "manifests" / "samples" / "minimal.yaml"


def observed(installation: Installation) -> int:
    service = json.loads(installation.do("kubectl", "get", "llm", "qwen", "--output=json"))
    return int(service["status"]["observedGeneration"])


@pytest.mark.parametrize(
    ("options", "arguments"),
    [((), ()), (("--set=watchNamespaces={default}", "--set=rbac.userRoles=false"), ("--namespace=default",))],
    ids=["whole cluster", "one namespace"],
)
def test_one_service_comes_to_be(
    installation: Installation, tmp_path: Path, options: tuple[str, ...], arguments: tuple[str, ...]
) -> None:
    with installation.installed("tandem-rights", *options):
        installation.do("kubectl", "apply", "--filename", SAMPLE)
        assert observed(installation) == -1
        with installation.operator("tandem-rights", tmp_path / "operator.log", *arguments):
            eventually(lambda: observed(installation) == 1, within=60, what="the operator reports")
        children = installation.names("deployments,services,configmaps,secrets,hpa,pdb,networkpolicies,serviceaccounts")
        for child in ("deployment.apps/qwen-engine", "deployment.apps/qwen-orchestrator", "service/qwen"):
            assert child in children
    installation.do("kubectl", "delete", "--filename", SAMPLE)
    installation.do("kubectl", "delete", "crd", "llmservices.tandem.dev")


def test_a_claim_and_a_job_come_to_be_and_a_job_is_made_anew(installation: Installation, tmp_path: Path) -> None:
    def jobs() -> list[str]:
        found = json.loads(installation.do("kubectl", "get", "jobs", "--output=json"))["items"]
        return [job["metadata"]["name"] for job in found]

    def message() -> str:
        found = installation.do("kubectl", "get", "llm", "single", "--output=json")
        conditions = json.loads(found).get("status", {}).get("conditions", [])
        return next((item["message"] for item in conditions if item["type"] == "StoresReady"), "")

    shared = tmp_path / "shared.json"
    shared.write_text(json.dumps(POSTGRES))
    with installation.installed("tandem-rights"):
        installation.do("kubectl", "create", "secret", "generic", "qwen-url", "--from-literal=uri=postgresql://db/x")
        installation.do("kubectl", "apply", "--filename", STATE, "--filename", shared)
        log = tmp_path / "operator.log"
        with installation.operator("tandem-rights", log):
            eventually(jobs, within=60, what="a Job is made")
            eventually(lambda: "is not bound" in message(), within=60, what="the claim is told about")
            first = jobs()
            patch = json.dumps({"spec": {"orchestrator": {"image": "other:1"}}})
            installation.do("kubectl", "patch", "llm", "shared", "--type=merge", f"--patch={patch}")
            eventually(lambda: len(jobs()) == 1 and jobs() != first, within=60, what="another takes its place")
        assert "could not be read" not in log.read_text()
        assert "forbidden" not in log.read_text()
    installation.do("kubectl", "delete", "--filename", STATE, "--filename", shared)
    installation.do("kubectl", "delete", "crd", "llmservices.tandem.dev")
