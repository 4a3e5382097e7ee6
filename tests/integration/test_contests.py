"""Fields that an admission policy or another client writes back: said in a condition, and fought over ever less."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from tandem_operator.kube.contests import FIRST_PAUSE, LONGEST_PAUSE, Contests
from tandem_operator.kube.resources import LLM_SERVICE
from tandem_operator.kube.store import Key
from tandem_operator.manifests import Images
from tandem_operator.reconcile import Cluster, reconcile

from hack.cluster.control_plane import ControlPlane
from tests.integration.cluster import Kubernetes, by_kind, eventually
from tests.integration.conftest import running_operator
from tests.integration.test_reconcile import owned

ENGINE, POLICY = ("Deployment", "demo-engine"), ("NetworkPolicy", "demo-engine")
ROLLED = 2
"""Writes of a changed engine: what is remembered of its roll-out, and its Deployment."""
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
IMAGE = "/spec/template/spec/containers/0/image"
LONG_AFTER = 10 * LONGEST_PAUSE


class Operator:
    """One that has run for a while, and whose time a test tells."""

    def __init__(self, kubernetes: Kubernetes, key: Key) -> None:
        self._kubernetes = kubernetes
        self._key = key
        self.now = 0.0
        self._contests = Contests(lambda: self.now)

    async def looks(self) -> list[str]:
        """Reconcile what is in the cluster now; return what is written to children."""
        cluster = Cluster(self._kubernetes, Images(), contests=self._contests)
        for item in await self._kubernetes.objects(self._key):
            cluster.store.put(item)
        self._kubernetes.writes = []
        await reconcile(cluster, self._key)
        return [write for write in self._kubernetes.writes if "/events" not in write and "/llmservices/" not in write]

    async def condition(self, kind: str) -> tuple[str, str, str]:
        found = (await self._kubernetes.conditions(self._key)).get(kind, {})
        return found.get("status", ""), found.get("reason", ""), found.get("message", "")


@asynccontextmanager
async def mutating(
    kubernetes: Kubernetes, namespace: str, resource: tuple[str, str, str], *patches: str, where: str = "true"
) -> AsyncIterator[None]:
    """An admission policy that patches objects of one kind in a namespace, active from here on until it is left."""
    group, version, plural = resource
    path, binding = f"{ADMISSION}/mutatingadmissionpolicies", f"{ADMISSION}/mutatingadmissionpolicybindings"
    rule = {"apiGroups": [group], "apiVersions": [version], "resources": [plural], "operations": ["CREATE", "UPDATE"]}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": namespace},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "matchConditions": [{"name": "where", "expression": where}],
            "reinvocationPolicy": "Never",
            "failurePolicy": "Fail",
            "mutations": [
                {"patchType": "JSONPatch", "jsonPatch": {"expression": f"[{', '.join(patches)}]"}},
                {
                    "patchType": "ApplyConfiguration",
                    "applyConfiguration": {
                        "expression": 'Object{metadata: Object.metadata{annotations: {"policy": "seen"}}}'
                    },
                },
            ],
        },
    }
    named = {"kubernetes.io/metadata.name": namespace}
    bound = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": namespace},
        "spec": {"policyName": namespace, "matchResources": {"namespaceSelector": {"matchLabels": named}}},
    }

    async def acts(*, wanted: bool) -> bool:
        root = f"/apis/{group}/{version}/namespaces/{namespace}/{plural}"
        probe = {"apiVersion": f"{group}/{version}", "metadata": {"name": "probe", "namespace": namespace}}
        spec = {
            "deployments": {
                "selector": {"matchLabels": {"a": "b"}},
                "template": {
                    "metadata": {"labels": {"a": "b"}},
                    "spec": {"containers": [{"name": "a", "image": "a"}], "volumes": [{"name": "a"}]},
                },
            },
            "networkpolicies": {"podSelector": {"matchLabels": {"a": "b"}}},
        }[plural]
        kind = {"deployments": "Deployment", "networkpolicies": "NetworkPolicy"}[plural]
        answer = await kubernetes._request("POST", root, {"dryRun": "All"}, {**probe, "kind": kind, "spec": spec})
        return ("policy" in answer["metadata"].get("annotations", {})) == wanted

    await kubernetes._request("POST", path, body=policy)
    await kubernetes._request("POST", binding, body=bound)
    try:
        await eventually(lambda: acts(wanted=True))
        yield
    finally:
        await kubernetes._request("DELETE", f"{binding}/{namespace}")
        await kubernetes._request("DELETE", f"{path}/{namespace}")
        await eventually(lambda: acts(wanted=False))


def patch(op: str, path: str, value: str) -> str:
    return f'JSONPatch{{op: "{op}", path: "{path}", value: {value}}}'


DEPLOYMENTS, POLICIES = ("apps", "v1", "deployments"), ("networking.k8s.io", "v1", "networkpolicies")


async def test_a_policy_that_rewrites_a_field_is_named_and_fought_ever_less(
    kubernetes: Kubernetes, namespace: str
) -> None:
    key = await kubernetes.serve(namespace)
    operator = Operator(kubernetes, key)
    await operator.looks()
    async with mutating(kubernetes, namespace, DEPLOYMENTS, patch("replace", IMAGE, '"mirror.example/vllm"')):
        await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"engine": {"dtype": "half"}}})
        assert len(await operator.looks()) == ROLLED, "one attempt"
        status, reason, message = await operator.condition("Degraded")
        assert (status, reason) == ("True", "FieldsContested")
        assert "Deployment demo-engine" in message
        assert "spec.template.spec.containers[engine].image (an admission policy or webhook)" in message
        assert (await operator.condition("EngineReady"))[1] == "RolloutPending", "which is as it was"
        pause = FIRST_PAUSE
        for _ in range(6):
            operator.now += pause - 1
            assert await operator.looks() == []
            operator.now += 1
            assert len(await operator.looks()) == 1
            assert await operator.looks() == []
            assert await kubernetes.reconcile(key) != [], "a new operator tries once"
            pause = min(2 * pause, LONGEST_PAUSE)
        await kubernetes.edit(by_kind("Deployment"), key, ENGINE[1], {"spec": {"paused": True}})
        assert len(await operator.looks()) == 1, "what else is changed is put right at once"
        assert "paused" not in owned(await kubernetes.objects(key))[ENGINE]["spec"]
        assert await operator.looks() == []
        await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"engine": {"dtype": "auto"}}})
        assert len(await operator.looks()) == ROLLED, "and so is what the spec asks for"
    operator.now += FIRST_PAUSE
    assert len(await operator.looks()) == 1
    assert await operator.condition("Degraded") == ("", "", ""), "nobody has said anything else"
    assert await operator.looks() == []


async def test_an_engine_that_a_policy_may_open_is_not_ready(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    operator = Operator(kubernetes, key)
    label = patch("add", "/spec/podSelector/matchLabels/other", '"label"')
    async with mutating(kubernetes, namespace, POLICIES, label):
        await operator.looks()
        for kind in ("EngineReady", "Ready"):
            status, reason, message = await operator.condition(kind)
            assert (status, reason) == ("False", "FieldsContested")
            assert "spec.podSelector.matchLabels.other (an admission policy or webhook)" in message
        assert (await operator.condition("Stalled"))[0] == "True"
        assert await operator.looks() == []
    operator.now += FIRST_PAUSE
    assert len(await operator.looks()) == 1
    assert (await operator.condition("EngineReady"))[1] == "RolloutPending"


async def test_what_a_policy_adds_to_pods_is_left_alone(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    pod = "/spec/template/spec"
    tolerated = 'Object.spec.template.spec.tolerations{key: "platform", operator: "Exists"}'
    one_more = patch("add", f"{pod}/tolerations/-", tolerated)
    the_first = patch("add", f"{pod}/tolerations", f"[{tolerated}]")
    sidecar = 'Object.spec.template.spec.containers{name: "sidecar", image: "mirror.example/sidecar"}'
    patches = (
        patch("add", f"{pod}/containers/-", sidecar),
        patch("add", f"{pod}/containers/0/imagePullPolicy", '"Always"'),
        patch("add", f"{pod}/volumes/-", 'Object.spec.template.spec.volumes{name: "sidecar"}'),
        patch("add", f"{pod}/priorityClassName", '"platform"'),
        f'object.metadata.name == "demo-engine" ? {one_more} : {the_first}',
        patch("add", f"{pod}/hostAliases", '[Object.spec.template.spec.hostAliases{ip: "192.0.2.1"}]'),
    )
    without = '!object.spec.template.spec.containers.exists(each, each.name == "sidecar")'
    async with mutating(kubernetes, namespace, DEPLOYMENTS, *patches, where=without):
        await Operator(kubernetes, key).looks()

        async def sidecars() -> int:
            spec = owned(await kubernetes.objects(key))[ENGINE]["spec"]["template"]["spec"]
            return [each["name"] for each in (*spec["containers"], *spec["volumes"])].count("sidecar")

        assert await sidecars() == 2
        assert "platform" in str(
            owned(await kubernetes.objects(key))[ENGINE]["spec"]["template"]["spec"]["tolerations"]
        )
        assert await kubernetes.reconcile(key) == []
        assert "Degraded" not in await kubernetes.conditions(key)
        operator = Operator(kubernetes, key)
        await kubernetes.edit(by_kind("Deployment"), key, ENGINE[1], {"spec": {"paused": True}})
        assert len(await operator.looks()) == 1
        assert await operator.looks() == []
        assert await sidecars() == 2
        await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"engine": {"dtype": "half"}}})
        assert len(await operator.looks()) == ROLLED
        assert await operator.looks() == []
    assert await sidecars() == 2
    assert "Degraded" not in await kubernetes.conditions(key)


async def test_a_client_that_writes_back_later_is_named_and_fought_ever_less(
    kubernetes: Kubernetes, namespace: str
) -> None:
    key = await kubernetes.serve(namespace)
    operator = Operator(kubernetes, key)
    await operator.looks()

    async def rival() -> None:
        drift: dict[str, Any] = {"spec": {"paused": True, "template": {"spec": {"hostNetwork": True}}}}
        await kubernetes.edit(by_kind("Deployment"), key, ENGINE[1], drift)

    written = 0
    for _ in range(120):  # a look a minute
        await rival()
        operator.now += 60
        written += len(await operator.looks())
    assert written < 12, "three at once, then after 2, 4, 8, 16 and 30 minutes"
    status, reason, message = await operator.condition("Degraded")
    assert (status, reason) == ("True", "FieldsContested")
    assert "spec.paused (hand), spec.template.spec.hostNetwork (hand)" in message
    operator.now += LONGEST_PAUSE
    assert len(await operator.looks()) == 1, "it is put right all the same"
    assert "hostNetwork" not in owned(await kubernetes.objects(key))[ENGINE]["spec"]["template"]["spec"]
    operator.now += LONG_AFTER
    assert await operator.looks() == []
    assert await operator.condition("Degraded") == ("", "", "")
    await rival()
    assert len(await operator.looks()) == 1, "the past is forgotten"


async def test_a_child_that_is_no_longer_wanted_is_not_contested(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    operator = Operator(kubernetes, key)
    await operator.looks()
    for _ in range(4):
        await kubernetes.edit(
            by_kind("NetworkPolicy"), key, POLICY[1], {"spec": {"podSelector": {"matchLabels": {"x": "y"}}}}
        )
        await operator.looks()
    assert (await operator.condition("EngineReady"))[1] == "FieldsContested"
    off = {"networking": {"networkPolicy": {"enabled": False}}}
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": off})
    await operator.looks()
    await operator.looks()
    assert (await operator.condition("EngineReady"))[1] == "RolloutPending"


async def test_the_process_stops_writing_and_says_so(
    kubernetes: Kubernetes, control_plane: ControlPlane, tmp_path: Path
) -> None:
    namespace = await kubernetes.namespace("contested")
    key = await kubernetes.serve(namespace)
    pulled = patch("replace", IMAGE, '"mirror.example/vllm"')

    async def contested() -> bool:
        found = (await kubernetes.conditions(key)).get("Degraded", {})
        return (found.get("status"), found.get("reason")) == ("True", "FieldsContested")

    async def told() -> bool:
        events = await kubernetes._request("GET", f"/api/v1/namespaces/{namespace}/events")
        return "FieldsContested" in {event["reason"] for event in events["items"]}

    async with mutating(kubernetes, namespace, DEPLOYMENTS, pulled):
        with running_operator(control_plane, tmp_path / "log", namespace, "--resync-seconds=0.5") as operator:
            await eventually(contested)
            await eventually(told)
            before = await figures(operator.port)

            async def looked_again_and_again() -> bool:
                return (await figures(operator.port))["reconciles"] >= before["reconciles"] + 10

            await eventually(looked_again_and_again)
            assert (await figures(operator.port))["writes"] == before["writes"] > 0
            on_the_host = {"spec": {"template": {"spec": {"hostNetwork": True}}}}
            await kubernetes.edit(by_kind("Deployment"), key, ENGINE[1], on_the_host)

            async def put_right() -> bool:
                spec = owned(await kubernetes.objects(key))[ENGINE]["spec"]["template"]["spec"]
                return "hostNetwork" not in spec

            await eventually(put_right)
    log = (tmp_path / "log").read_text()
    assert f"{namespace}/demo Deployment demo-engine put right: " in log
    assert "spec.template.spec.hostNetwork (hand)" in log


async def figures(port: int) -> dict[str, float]:
    """How often an operator has looked at services, and written Deployments."""
    async with aiohttp.request("GET", f"http://127.0.0.1:{port}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return {
        name: sum(float(line.split()[-1]) for line in lines if line.startswith(f"tandem_operator_{counter}"))
        for name, counter in (("reconciles", "reconciles_total"), ("writes", 'writes_total{kind="Deployment"'))
    }
