"""What platforms ask of pods, before a real API server: what it admits, what it refuses, and what rolls."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tandem_operator.api.component import SECURITY_CONTEXT_CONSTRAINTS_API
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.schema import crd
from tandem_operator.kube.api import ApiError, connected
from tandem_operator.kube.resources import LLM_SERVICE, SECURITY_CONTEXT_CONSTRAINTS, Object
from tandem_operator.kube.store import Key

from hack.cluster.control_plane import ControlPlane
from tests.integration.cluster import Kubernetes, by_kind, eventually
from tests.integration.conftest import running_operator
from tests.integration.test_reconcile import child

ALL: dict[str, Any] = {
    "podLabels": {"kueue.x-k8s.io/queue-name": "inference", "app.kubernetes.io/version": "1", "team": ""},
    "podAnnotations": {"karpenter.sh/do-not-disrupt": "true", "example.com/text": "ä\n" * 100},
    "priorityClassName": "serving",
    "securityContext": {"runAsUser": 1000, "runAsGroup": 0, "fsGroup": 2000, "supplementalGroups": [44, 109]},
}
ADMITTED: dict[str, dict[str, Any]] = {
    "everything": ALL,
    "nothing": {},
    "longest": {"podLabels": {f"{'x.' * 126}x/{'y' * 63}": "z" * 63}},
    "most": {
        "podLabels": {f"example.com/{number}": "x" for number in range(32)},
        "podAnnotations": {f"example.com/{number}": "x" * 4096 for number in range(32)},
    },
    "neighbours": {"podLabels": {"app.kubernetes.io/names": "x", "tandem.dev": "x", "x.tandem.dev/tier": "x"}},
    "apparmor's neighbour": {"podAnnotations": {"apparmor.security.beta.kubernetes.io/x": "unconfined"}},
    "disk": {
        "resources": {
            "requests": {"cpu": 1, "memory": "1Gi", "ephemeral-storage": "1Gi"},
            "limits": {"ephemeral-storage": "2048Mi"},
        }
    },
    "largest ids": {"securityContext": {"runAsUser": 2**31 - 1, "supplementalGroups": [0, 2**31 - 1]}},
    "smallest ids": {"securityContext": {"runAsUser": 1, "runAsGroup": 0, "fsGroup": 0}},
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    **{
        f"{field} {key[:12]!r} of {len(key)}": ({field: {key: "x"}}, field)
        for field in ("podLabels", "podAnnotations")
        for key in (
            *("", "a b", "/a", "a/", "a/b/c", "A.example/b", "-a", "a-", "a\n", "\na", "a..b/c", "ä", "a*"),
            *("x" * 64, f"{'x' * 254}/a", f"{'x.' * 127}/a", "tandem.dev/applied", "tandem.dev/tier", "tandem.dev/"),
        )
    },
    **{
        f"label {key}": ({"podLabels": {key: "x"}}, "podLabels must not")
        for key in ("pod-template-hash", "app.kubernetes.io/name", "app.kubernetes.io/managed-by", "tandem.dev/tier")
    },
    **{
        f"annotation {key}": ({"podAnnotations": {key: "unconfined"}}, "restricted Pod Security Standard")
        for key in (
            "container.apparmor.security.beta.kubernetes.io/engine",
            "container.seccomp.security.alpha.kubernetes.io/engine",
            "seccomp.security.alpha.kubernetes.io/pod",
        )
    },
    **{f"value {value!r}": ({"podLabels": {"a": value}}, "podLabels") for value in ("a b", "-", "x" * 64, "a\n", "ä")},
    "label that is a number": ({"podLabels": {"a": 1}}, "podLabels"),
    "annotation that is a boolean": ({"podAnnotations": {"a": True}}, "podAnnotations"),
    "too many labels": ({"podLabels": {f"a{number}": "" for number in range(33)}}, "podLabels"),
    "too many annotations": ({"podAnnotations": {f"a{number}": "" for number in range(33)}}, "podAnnotations"),
    "too long": ({"podAnnotations": {"a": "x" * 4097}}, "podAnnotations"),
    "priority of the system": ({"priorityClassName": "system-node-critical"}, "cluster's own parts"),
    "no priority class": ({"priorityClassName": "A_b"}, "priorityClassName"),
    "root": ({"securityContext": {"runAsUser": 0}}, "must not be 0"),
    "negative": ({"securityContext": {"runAsUser": -1}}, "runAsUser"),
    "too large": ({"securityContext": {"fsGroup": 2**31}}, "fsGroup"),
    "too many groups": ({"securityContext": {"supplementalGroups": list(range(33))}}, "supplementalGroups"),
}
ENGINE: dict[str, tuple[dict[str, Any], str]] = {
    "negative budget": ({"podDisruptionBudget": {"maxUnavailable": -1}}, "maxUnavailable"),
    "budget in percent": ({"podDisruptionBudget": {"maxUnavailable": "50%"}}, "maxUnavailable"),
    "no size": ({"modelCache": {"sizeLimit": "lots"}}, "sizeLimit"),
}


async def template(kubernetes: Kubernetes, key: Key, tier: str) -> Object:
    found: Object = (await child(kubernetes, key, "Deployment", f"{key.name}-{tier}"))["spec"]["template"]
    return found


def by_the_operator(spec: dict[str, Any]) -> LLMService:
    return LLMService.model_validate(
        {"metadata": {"name": "demo"}, "spec": {"model": {"source": "hf://org/model"}, **spec}}
    )


@pytest.mark.parametrize("settings", ADMITTED.values(), ids=ADMITTED.keys())
async def test_what_both_judges_admit_becomes_deployments(
    kubernetes: Kubernetes, namespace: str, settings: dict[str, Any]
) -> None:
    by_the_operator({"engine": settings, "orchestrator": settings})
    key = await kubernetes.serve(namespace, engine=settings, orchestrator=settings)
    await kubernetes.reconcile(key)
    assert await kubernetes.reconcile(key) == []
    for tier in ("engine", "orchestrator"):
        metadata = (await template(kubernetes, key, tier))["metadata"]
        assert metadata["labels"].items() >= settings.get("podLabels", {}).items()
        assert metadata.get("annotations", {}).items() >= settings.get("podAnnotations", {}).items()


async def test_nothing_is_stored_that_an_older_operator_would_not_know(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    stored = await kubernetes.get(LLM_SERVICE, *key)
    assert stored
    for tier in ("engine", "orchestrator"):
        assert not stored["spec"][tier].keys() & {*ALL, "modelCache", "podDisruptionBudget"}


@pytest.mark.parametrize(("settings", "says"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_one_judge_refuses_the_other_refuses(
    kubernetes: Kubernetes, namespace: str, settings: dict[str, Any], says: str
) -> None:
    for tier in ("engine", "orchestrator"):
        await refused_by_both(kubernetes, namespace, {tier: settings}, says)


@pytest.mark.parametrize(("settings", "says"), ENGINE.values(), ids=ENGINE.keys())
async def test_what_both_refuse_of_the_engine(
    kubernetes: Kubernetes, namespace: str, settings: dict[str, Any], says: str
) -> None:
    await refused_by_both(kubernetes, namespace, {"engine": settings}, says)


async def refused_by_both(kubernetes: Kubernetes, namespace: str, spec: dict[str, Any], says: str) -> None:
    with pytest.raises(ApiError) as refusal:
        await kubernetes.serve(namespace, **spec)
    assert says in str(refusal.value)
    with pytest.raises(ValidationError) as error:
        by_the_operator(spec)
    assert says in str(error.value)


@pytest.mark.parametrize("capabilities", [(), (SECURITY_CONTEXT_CONSTRAINTS_API,)])
@pytest.mark.parametrize("settings", [{}, ALL], ids=["nothing", "everything"])
async def test_pods_are_admitted_where_restricted_is_enforced(
    kubernetes: Kubernetes, namespace: str, settings: dict[str, Any], capabilities: tuple[str, ...]
) -> None:
    restricted = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    path = f"/api/v1/namespaces/{namespace}"
    await kubernetes._request("PATCH", path, {}, restricted, "application/merge-patch+json")
    await priority_class(kubernetes, "serving")
    engine = {**settings, "modelCache": {"sizeLimit": "80Gi"}}
    key = await kubernetes.serve(namespace, engine=engine, orchestrator=settings)
    await kubernetes.reconcile(key, frozenset(capabilities))
    for tier in ("engine", "orchestrator"):
        made = await template(kubernetes, key, tier)
        pod = {"apiVersion": "v1", "kind": "Pod", **made}
        pod["metadata"] = {**made["metadata"], "name": tier}
        admitted = await kubernetes._request("POST", f"{path}/pods", {"dryRun": "All"}, pod)
        assert admitted["spec"]["priority"] == (7 if settings else 0)
        broken = {**pod, "spec": {**pod["spec"], "hostNetwork": True}}
        with pytest.raises(ApiError, match="PodSecurity"):
            await kubernetes._request("POST", f"{path}/pods", {"dryRun": "All"}, broken)


async def priority_class(kubernetes: Kubernetes, name: str) -> None:
    body = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": 7}
    path = f"/apis/scheduling.k8s.io/v1/priorityclasses/{name}"
    await kubernetes._request("PATCH", path, {"fieldManager": "tests"}, body, "application/apply-patch+yaml")


async def test_labels_that_go_are_gone_and_selectors_stay(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace, engine=ALL)
    await kubernetes.reconcile(key)
    before = await child(kubernetes, key, "Deployment", "demo-engine")
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"engine": dict.fromkeys(ALL)}})
    await kubernetes.reconcile(key)
    after = await child(kubernetes, key, "Deployment", "demo-engine")
    assert after["metadata"]["generation"] > before["metadata"]["generation"], "the pods roll"
    assert after["spec"]["selector"] == before["spec"]["selector"]
    for metadata in (after["metadata"], after["spec"]["template"]["metadata"]):
        assert not metadata["labels"].keys() & ALL["podLabels"].keys()
    plain = await kubernetes.serve(namespace, "plain")
    await kubernetes.reconcile(plain)
    expected = await template(kubernetes, plain, "engine")
    assert after["spec"]["template"]["spec"].keys() == expected["spec"].keys()
    assert after["spec"]["template"]["spec"]["securityContext"] == expected["spec"]["securityContext"]


async def test_on_openshift_users_are_left_to_the_platform(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path)
    plane.start()
    try:
        async with connected(str(plane.kubeconfig)) as client:
            kubernetes = Kubernetes(client)
            await kubernetes.define(crd())
            with running_operator(plane, tmp_path / "log"):
                await users_follow_the_platform(kubernetes)
    finally:
        plane.stop()


async def users_follow_the_platform(kubernetes: Kubernetes) -> None:
    namespace = await kubernetes.namespace("live-openshift")
    plain = await kubernetes.serve(namespace, "plain")
    chosen = await kubernetes.serve(namespace, "chosen", engine={"securityContext": {"runAsUser": 1000}})

    async def users(key: Key) -> list[int | None]:
        found = await kubernetes.get(by_kind("Deployment"), namespace, f"{key.name}-engine")
        context = found["spec"]["template"]["spec"]["securityContext"] if found else {}
        return [context.get(field) for field in ("runAsUser", "runAsGroup", "fsGroup")]

    async def assigned() -> bool:
        return await users(plain) == [10001, 10001, 10001] and await users(chosen) == [1000, 10001, 10001]

    async def left() -> bool:
        return await users(plain) == [None, None, None] and await users(chosen) == [1000, None, None]

    await eventually(assigned)
    await kubernetes.define(security_context_constraints())
    await eventually(left)


def security_context_constraints() -> Object:
    """Stands for OpenShift's definition."""
    kind, plural = SECURITY_CONTEXT_CONSTRAINTS.kind, SECURITY_CONTEXT_CONSTRAINTS.plural
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{SECURITY_CONTEXT_CONSTRAINTS.group}"},
        "spec": {
            "group": SECURITY_CONTEXT_CONSTRAINTS.group,
            "scope": "Cluster",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
