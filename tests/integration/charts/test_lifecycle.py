"""LLMServices survive whatever is done to the operator's installation, and its definition follows its version."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.charts.installation import CHART, RELEASE, ROOT, Installation

SAMPLE = ROOT / "manifests" / "samples" / "minimal.yaml"
INSTALL = ROOT / "manifests" / "install.yaml"
SYSTEM = ("--namespace", "tandem-system")
KEPT = ["llmservice.tandem.dev/qwen"]


@pytest.fixture
def service(installation: Installation) -> Iterator[None]:
    """One LLMService, made by an operator that has since been uninstalled."""
    with installation.installed("tandem-system"):
        installation.do("kubectl", "apply", "--filename", SAMPLE)
    yield
    installation.do("kubectl", "delete", "--filename", SAMPLE)
    installation.do("kubectl", "delete", "crd", "llmservices.tandem.dev")


def columns(installation: Installation) -> str:
    path = "{.spec.versions[0].additionalPrinterColumns[*].name}"
    return installation.do("kubectl", "get", "crd", "llmservices.tandem.dev", f"--output=jsonpath={path}")


@pytest.mark.usefixtures("service")
def test_uninstall_and_install_again(installation: Installation) -> None:
    assert installation.names("llm") == KEPT
    with installation.installed("tandem-system"):
        assert installation.names("llm") == KEPT


@pytest.mark.usefixtures("service")
def test_upgrade_renews_the_definition(installation: Installation, tmp_path: Path) -> None:
    newer = tmp_path / "tandem-operator"
    shutil.copytree(CHART, newer)
    definition = newer / "files" / "tandem.dev_llmservices.yaml"
    definition.write_text(definition.read_text().replace("- name: URL", "- name: Address"))
    with installation.installed("tandem-system"):
        assert "Address" not in columns(installation)
        installation.do("helm", "upgrade", RELEASE, newer, *SYSTEM)
        assert "Address" in columns(installation)
        assert installation.names("llm") == KEPT


@pytest.mark.usefixtures("service")
def test_another_namespace_takes_the_definition_over(installation: Installation) -> None:
    with installation.installed("elsewhere", "--take-ownership"):
        assert installation.names("llm") == KEPT


@pytest.mark.usefixtures("service")
def test_from_kubectl_to_helm(installation: Installation) -> None:
    installation.do("kubectl", "apply", "--server-side", "--force-conflicts", "--filename", INSTALL)
    with installation.installed("tandem-system", "--take-ownership", "--force-conflicts"):
        installation.do("helm", "upgrade", RELEASE, CHART, *SYSTEM, "--set=replicas=2", "--force-conflicts")
        assert installation.names("llm") == KEPT


def test_kubectl_removes_the_operator_alone(installation: Installation) -> None:
    selector = "--selector=app.kubernetes.io/component=operator"
    delete = ("delete", "--dry-run=client", "--output=name", "--filename", INSTALL)
    every = set(installation.do("kubectl", *delete).split())
    assert every - set(installation.do("kubectl", *delete, selector).split()) == {
        "customresourcedefinition.apiextensions.k8s.io/llmservices.tandem.dev"
    }
