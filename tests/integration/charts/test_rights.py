"""The rights that the chart gives are all that the operator needs."""

import json
from pathlib import Path

import pytest

from tests.e2e.cluster import eventually
from tests.integration.charts.installation import ROOT, Installation

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
