"""Suspend, delete, and the operator's own comings and goings."""

import pytest

from tests.e2e.cluster import OPERATOR, Namespace, eventually, operator_down
from tests.e2e.conftest import ENGINE_SECONDS

CHILDREN = (
    "deployments,services,configmaps,secrets,serviceaccounts,"
    "horizontalpodautoscalers,poddisruptionbudgets,networkpolicies"
)
SELECTOR = "tandem.dev/llmservice=throwaway"


@pytest.fixture
def throwaway(namespace: Namespace) -> Namespace:
    """A service whose engine never starts: all its children are there, and none costs anything."""
    namespace.apply(
        {
            "apiVersion": "tandem.dev/v1alpha1",
            "kind": "LLMService",
            "metadata": {"name": "throwaway"},
            "spec": {
                "model": {"source": "hf://org/name"},
                "engine": {"image": "tandem.local/nowhere:1", "accelerator": "cpu"},
                "orchestrator": {"image": "tandem.local/nowhere:1"},
            },
        }
    )
    eventually(
        lambda: len(namespace.names(CHILDREN, SELECTOR)) >= 10 and namespace.condition("throwaway", "Ready"),
        within=60,
        what="all children and a status are there",
    )
    return namespace


def test_deleting_the_service_removes_all_while_the_operator_is_down(throwaway: Namespace) -> None:
    with operator_down():
        throwaway.kubectl("delete", "llm", "throwaway", "--timeout=30s")
        eventually(lambda: not throwaway.names(f"{CHILDREN},pods", SELECTOR), within=120, what="no child is left")


def test_a_restarted_operator_changes_nothing(throwaway: Namespace) -> None:
    def versions() -> dict[str, str]:
        return {
            name: throwaway.kubectl("get", name, "--output=jsonpath={.spec}")
            for name in throwaway.names(CHILDREN, SELECTOR)
        }

    before = versions()
    OPERATOR.kubectl("rollout", "restart", "deployment/tandem-operator")
    OPERATOR.kubectl("rollout", "status", "deployment/tandem-operator", "--timeout=120s")
    throwaway.change("throwaway", {"engine": {"replicas": 2}})
    eventually(
        lambda: throwaway.kubectl("get", "deployment", "throwaway-engine", "--output=jsonpath={.spec.replicas}") == "2",
        within=60,
        what="the new operator acts",
    )
    after = versions()
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed == {"deployment.apps/throwaway-engine"}


def test_suspend_and_back(service: Namespace) -> None:
    def pods() -> list[str]:
        return service.names("pods", "tandem.dev/llmservice=demo")

    service.change("demo", {"suspend": True})
    eventually(lambda: not pods(), within=180, what="no pod is left")
    assert service.condition("demo", "Ready")["reason"] == "Suspended"
    service.change("demo", {"suspend": False})
    eventually(lambda: service.is_ready("demo"), within=ENGINE_SECONDS, what="the service is Ready again")
    assert len(service.names("pods", "tandem.dev/llmservice=demo,tandem.dev/tier=orchestrator")) >= 2
