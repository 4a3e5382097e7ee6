"""What platforms ask of pods: the page that tells of it, and what the fields become."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from tandem_operator.api.component import SECURITY_CONTEXT_CONSTRAINTS_API
from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests import Platform, build
from tandem_operator.status.pods import PodView, diagnose

PAGE = (Path(__file__).parents[3] / "docs" / "platforms.md").read_text()
EXAMPLES = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
OPENSHIFT = Platform(frozenset({SECURITY_CONTEXT_CONSTRAINTS_API}))
ASSIGNED = {"runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001}


def children(spec: dict[str, Any], platform: Platform | None = None) -> dict[tuple[str, str], dict[str, Any]]:
    spec = {"model": {"source": "hf://org/model"}, **spec}
    service = LLMService.model_validate({"metadata": {"name": "demo"}, "spec": spec})
    built = build(service, platform or Platform())
    return {(item["kind"], item["metadata"]["name"]): item for item in built}


def deployment(tier: str, settings: dict[str, Any], platform: Platform | None = None) -> dict[str, Any]:
    return children({tier: settings}, platform)["Deployment", f"demo-{tier}"]


def template(tier: str, settings: dict[str, Any], platform: Platform | None = None) -> dict[str, Any]:
    found: dict[str, Any] = deployment(tier, settings, platform)["spec"]["template"]
    return found


def identity(settings: dict[str, Any], platform: Platform | None = None) -> dict[str, Any]:
    context = template("engine", settings, platform)["spec"]["securityContext"]
    assert context.pop("runAsNonRoot") is True
    assert context.pop("seccompProfile") == {"type": "RuntimeDefault"}
    assert context.pop("fsGroupChangePolicy") == "OnRootMismatch"
    return dict(context)


def refused(tier: str, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(says)):
        children({tier: settings})


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_page_is_a_valid_spec(example: dict[str, Any]) -> None:
    assert children(example)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 5


@pytest.mark.parametrize("tier", ["engine", "orchestrator"])
class TestLabels:
    def test_are_on_the_pods_and_their_deployment_and_in_no_selector(self, tier: str) -> None:
        plain, labelled = deployment(tier, {}), deployment(tier, {"podLabels": {"kueue.x-k8s.io/queue-name": "gpu"}})
        for metadata in (labelled["metadata"], labelled["spec"]["template"]["metadata"]):
            assert metadata["labels"]["kueue.x-k8s.io/queue-name"] == "gpu"
            assert metadata["labels"].items() >= plain["metadata"]["labels"].items()
        assert labelled["spec"]["selector"] == plain["spec"]["selector"]

    @pytest.mark.parametrize(
        "key",
        [
            "tandem.dev/llmservice",
            "tandem.dev/anything",
            "app.kubernetes.io/name",
            "app.kubernetes.io/managed-by",
            "pod-template-hash",
        ],
    )
    def test_of_the_operator_are_refused(self, tier: str, key: str) -> None:
        refused(tier, {"podLabels": {key: "x"}}, "podLabels must not")

    @pytest.mark.parametrize("key", ["app.kubernetes.io/version", "app.kubernetes.io/name-of", "my.tandem.dev/x", "a"])
    def test_beside_the_operator_s_are_taken(self, tier: str, key: str) -> None:
        assert template(tier, {"podLabels": {key: "x"}})["metadata"]["labels"][key] == "x"

    @pytest.mark.parametrize(
        "key", ["", "a b", "/a", "a/", "a/b/c", "A.example/b", "-a", "a\n", f"{'x' * 254}/a", "x" * 64, "a..b/c"]
    )
    def test_have_keys_as_kubernetes_wants_them(self, tier: str, key: str) -> None:
        for field in ("podLabels", "podAnnotations"):
            refused(tier, {field: {key: "x"}}, field)

    @pytest.mark.parametrize("value", ["a b", "-a", "x" * 64, "a\n", "ä"])
    def test_have_values_as_kubernetes_wants_them(self, tier: str, value: str) -> None:
        refused(tier, {"podLabels": {"team": value}}, "podLabels.team")


@pytest.mark.parametrize("tier", ["engine", "orchestrator"])
class TestAnnotations:
    def test_are_beside_the_operator_s(self, tier: str) -> None:
        plain = template(tier, {})["metadata"].get("annotations", {})
        given = {"karpenter.sh/do-not-disrupt": "true", "text": "with spaces\nand lines"}
        assert template(tier, {"podAnnotations": given})["metadata"]["annotations"] == {**plain, **given}

    @pytest.mark.parametrize(
        ("key", "says"),
        [
            ("tandem.dev/engine-key", "podAnnotations must not"),
            ("container.apparmor.security.beta.kubernetes.io/engine", "restricted"),
            ("seccomp.security.alpha.kubernetes.io/pod", "restricted"),
            ("container.seccomp.security.alpha.kubernetes.io/engine", "restricted"),
        ],
    )
    def test_that_mark_or_weaken_are_refused(self, tier: str, key: str, says: str) -> None:
        refused(tier, {"podAnnotations": {key: "unconfined"}}, says)


@pytest.mark.parametrize("tier", ["engine", "orchestrator"])
def test_a_priority_class_is_the_pods_own(tier: str) -> None:
    assert "priorityClassName" not in template(tier, {})["spec"]
    assert template(tier, {"priorityClassName": "serving"})["spec"]["priorityClassName"] == "serving"
    refused(tier, {"priorityClassName": "system-node-critical"}, "priorityClassName must not")


@pytest.mark.parametrize(
    ("settings", "elsewhere", "openshift"),
    [
        ({}, ASSIGNED, {}),
        ({"securityContext": {}}, ASSIGNED, {}),
        ({"securityContext": {"runAsUser": 7}}, {**ASSIGNED, "runAsUser": 7}, {"runAsUser": 7}),
        ({"securityContext": {"runAsGroup": 0}}, {**ASSIGNED, "runAsGroup": 0}, {"runAsGroup": 0}),
        (
            {"securityContext": {"supplementalGroups": [44, 109]}},
            {**ASSIGNED, "supplementalGroups": [44, 109]},
            {"supplementalGroups": [44, 109]},
        ),
    ],
)
def test_users_and_groups_are_the_spec_s_or_the_operator_s_or_left_to_openshift(
    settings: dict[str, Any], elsewhere: dict[str, Any], openshift: dict[str, Any]
) -> None:
    assert identity(settings) == elsewhere
    assert identity(settings, OPENSHIFT) == openshift


@pytest.mark.parametrize("tier", ["engine", "orchestrator"])
def test_root_is_refused(tier: str) -> None:
    refused(tier, {"securityContext": {"runAsUser": 0}}, "securityContext.runAsUser must not be 0")


def test_a_cache_has_no_bound_unless_it_is_given_one() -> None:
    pod = template("engine", {})["spec"]
    assert {"name": "cache", "emptyDir": {}} in pod["volumes"]
    assert "ephemeral-storage" not in pod["containers"][0]["resources"]["requests"]


@pytest.mark.parametrize(
    ("resources", "requested"),
    [
        ({}, "80Gi"),
        ({"requests": {"cpu": 1}}, "80Gi"),
        ({"requests": {"ephemeral-storage": "90Gi"}}, "90Gi"),
        ({"limits": {"ephemeral-storage": "85Gi"}}, None),
    ],
)
def test_a_cache_s_size_is_its_bound_and_requested_unless_the_resources_say_more(
    resources: dict[str, Any], requested: str | None
) -> None:
    pod = template("engine", {"modelCache": {"sizeLimit": "80Gi"}, "resources": resources})["spec"]
    assert {"name": "cache", "emptyDir": {"sizeLimit": "80Gi"}} in pod["volumes"]
    assert pod["containers"][0]["resources"].get("requests", {}).get("ephemeral-storage") == requested


def test_a_pod_that_a_queue_holds_back_says_so() -> None:
    pod = {
        "metadata": {"name": "demo-engine-0", "labels": {"tandem.dev/tier": "engine"}},
        "status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]},
    }
    found = diagnose(PodView(pod, datetime.now(UTC)))
    assert found
    assert (found.reason, found.terminal) == ("SchedulingGated", False)
    assert "kubectl describe pod demo-engine-0" in found.message


@pytest.mark.parametrize(("settings", "unavailable"), [({}, 1), ({"podDisruptionBudget": {"maxUnavailable": 0}}, 0)])
def test_drains_take_as_many_engines_as_the_spec_allows(settings: dict[str, Any], unavailable: int) -> None:
    built = children({"engine": {**settings, "replicas": 3}})
    spec = built["PodDisruptionBudget", "demo-engine"]["spec"]
    assert spec["maxUnavailable"] == unavailable
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert spec["selector"] == built["Deployment", "demo-engine"]["spec"]["selector"]
    assert built["PodDisruptionBudget", "demo-orchestrator"]["spec"]["maxUnavailable"] == 1
