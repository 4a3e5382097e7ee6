"""One look at one service, against a real API server: what is written, and that nothing is written twice."""

import json
from base64 import b64decode
from typing import Any

import pytest
import yaml
from tandem_operator.api.component import SERVICE_MONITOR_API
from tandem_operator.kube.resources import CHILDREN, LLM_SERVICE, Object
from tandem_operator.kube.store import Key
from tandem_operator.manifests import Images
from tandem_operator.reconcile import Cluster, reconcile
from tandem_operator.rollouts.record import KEY
from tandem_operator.workqueue import RetryError

from tests.integration.cluster import KilledError, Kubernetes, by_kind

CHILDREN_OF_MINIMAL = {
    ("ConfigMap", "demo-engine-rollout"),
    ("ConfigMap", "demo-orchestrator"),
    ("Deployment", "demo-engine"),
    ("Deployment", "demo-orchestrator"),
    ("HorizontalPodAutoscaler", "demo-orchestrator"),
    ("NetworkPolicy", "demo-engine"),
    ("PodDisruptionBudget", "demo-engine"),
    ("PodDisruptionBudget", "demo-orchestrator"),
    ("Secret", "demo-engine-key"),
    ("Service", "demo"),
    ("Service", "demo-engine"),
    ("Service", "demo-engine-pods"),
    ("ServiceAccount", "demo-engine"),
    ("ServiceAccount", "demo-orchestrator"),
}
RICH: dict[str, Any] = {
    "engine": {
        "gpus": 4,
        "parallelism": {"pipeline": 2},
        "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"memory": 2147483648}},
        "sharedMemory": "2048Mi",
        "env": [{"name": "A", "value": "b"}, {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "imagePullSecrets": [{"name": "registry"}],
        "runtimeClassName": "nvidia",
        "toolCalling": {"chatTemplate": "{{ messages }}"},
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "x", "operator": "Exists"}]}]
                }
            }
        },
    },
    "orchestrator": {
        "config": {
            "drainSeconds": 20,
            "keys": {"files": [{"secretName": "keys"}], "admin": {"secretName": "admin", "secretKey": "key"}},
            "database": {"urlFrom": {"secretName": "database", "secretKey": "url"}},
        },
        "resources": {"requests": {"cpu": "0.5"}, "limits": {"cpu": 2}},
    },
    "networking": {"service": {"type": "NodePort", "annotations": {"a": "b"}}},
}
SOURCES = ("hf://org/model@main", "pvc://claim/folder", "oci://registry.example/model:1", "s3://bucket/model")


def owned(objects: list[Object]) -> dict[tuple[str, str], Object]:
    return {
        (item["kind"], item["metadata"]["name"]): item
        for item in objects
        if item["kind"] not in (LLM_SERVICE.kind, "Pod")
    }


async def child(kubernetes: Kubernetes, key: Key, kind: str, name: str) -> Object:
    found = await kubernetes.get(by_kind(kind), key.namespace, name)
    assert found
    return found


def essence(objects: list[Object]) -> dict[tuple[str, str], Object]:
    """Objects without what differs from one run to the next."""

    def stripped(item: Object) -> Object:
        metadata = {name: item["metadata"].get(name) for name in ("labels", "namespace")}
        content = {name: value for name, value in item.items() if name not in ("metadata", "status")}
        return {"metadata": metadata, **content}

    found = {name: stripped(item) for name, item in owned(objects).items()}
    for (kind, name), item in found.items():
        if kind == "ConfigMap" and KEY in item["data"]:
            item["data"] = {**json.loads(item["data"][KEY]), "since": ""}
        if kind == "Service":
            for random in ("clusterIP", "clusterIPs"):
                item["spec"].pop(random)
        if kind == "Secret":
            item["data"] = sorted(item["data"])
        if kind == "Deployment":
            annotations = item["spec"]["template"]["metadata"].pop("annotations")
            assert ("tandem.dev/engine-key" in annotations) != name.endswith("-orchestrator")
    return found


async def test_a_minimal_service_gets_all_its_children(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    await kubernetes.reconcile(key)
    assert owned(await kubernetes.objects(key)).keys() == CHILDREN_OF_MINIMAL


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("spec", [{}, RICH], ids=["minimal", "rich"])
async def test_a_reconcile_that_changes_nothing_writes_nothing(
    kubernetes: Kubernetes, namespace: str, source: str, spec: dict[str, Any]
) -> None:
    key = await kubernetes.serve(namespace, model={"source": source}, **spec)
    assert await kubernetes.reconcile(key)
    before = {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in await kubernetes.objects(key)}
    assert await kubernetes.reconcile(key) == []
    after = {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in await kubernetes.objects(key)}
    assert after == before


async def test_an_operator_killed_after_any_write_ends_in_the_same_state(
    kubernetes: Kubernetes, namespace: str
) -> None:
    whole = await kubernetes.serve(namespace, "whole")
    writes = len([write for write in await kubernetes.reconcile(whole) if "/events" not in write])
    expected = essence(await kubernetes.objects(whole))
    for number in range(1, writes + 1):
        name = f"k{number:04}"
        key = await kubernetes.serve(namespace, name)
        kubernetes.die_after = number
        with pytest.raises(KilledError):
            await kubernetes.reconcile(key)
        kubernetes.die_after = None
        await kubernetes.reconcile(key)
        assert await kubernetes.reconcile(key) == []
        assert str(essence(await kubernetes.objects(key))).replace(name, "whole") == str(expected), number


@pytest.mark.parametrize("kind", [resource.kind for resource in CHILDREN if resource.kind != "ServiceMonitor"])
async def test_a_deleted_child_comes_back(kubernetes: Kubernetes, namespace: str, kind: str) -> None:
    key = await kubernetes.serve(namespace)
    await kubernetes.reconcile(key)
    before = owned(await kubernetes.objects(key))
    for (found, _), item in before.items():
        if found == kind:
            await kubernetes.delete(item)
    await kubernetes.reconcile(key)
    after = owned(await kubernetes.objects(key))
    assert after.keys() == before.keys()
    assert all(
        item["metadata"]["uid"] != before[name]["metadata"]["uid"] for name, item in after.items() if name[0] == kind
    )


EDITS = {
    "image": ("Deployment", "demo-engine", {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 99}}}}),
    "replicas": ("Deployment", "demo-engine", {"spec": {"replicas": 5}}),
    "strategy": ("Deployment", "demo-engine", {"spec": {"strategy": {"rollingUpdate": {"maxSurge": 1}}}}),
    "config": ("ConfigMap", "demo-orchestrator", {"data": {"config.yaml": "upstreams: []"}}),
    "config gone": ("ConfigMap", "demo-orchestrator", {"data": {"config.yaml": None}}),
    "port": ("Service", "demo", {"spec": {"ports": [{"name": "http", "port": 81, "targetPort": 1}]}}),
    "selector": ("Service", "demo-engine", {"spec": {"selector": {"app": "other"}}}),
    "bounds": ("HorizontalPodAutoscaler", "demo-orchestrator", {"spec": {"maxReplicas": 3}}),
    "budget": ("PodDisruptionBudget", "demo-orchestrator", {"spec": {"maxUnavailable": 2}}),
    "policy": ("NetworkPolicy", "demo-engine", {"spec": {"ingress": [{}]}}),
    "token": ("ServiceAccount", "demo-engine", {"automountServiceAccountToken": True}),
    "label": ("Service", "demo", {"metadata": {"labels": {"tandem.dev/llmservice": None}}}),
    "owner": ("Deployment", "demo-engine", {"metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}}),
}


@pytest.mark.parametrize(("kind", "name", "patch"), EDITS.values(), ids=EDITS.keys())
async def test_an_edit_by_hand_is_undone(
    kubernetes: Kubernetes, namespace: str, kind: str, name: str, patch: Object
) -> None:
    key = await kubernetes.serve(namespace)
    await kubernetes.reconcile(key)
    before = essence(await kubernetes.objects(key))
    await kubernetes.edit(by_kind(kind), key, name, patch)
    await kubernetes.reconcile(key)
    assert await kubernetes.reconcile(key) == []
    if kind != "Service":  # merging lists of ports by hand leaves the API server's own fields different
        assert essence(await kubernetes.objects(key)) == before


async def test_what_others_add_stays(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    await kubernetes.reconcile(key)
    await kubernetes.edit(by_kind("Service"), key, "demo", {"metadata": {"annotations": {"team": "a"}}})
    assert await kubernetes.reconcile(key) == []


async def test_a_feature_that_is_switched_off_takes_its_objects_along(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace, engine={"toolCalling": {"chatTemplate": "{{ messages }}"}})
    await kubernetes.reconcile(key)
    assert ("ConfigMap", "demo-engine") in owned(await kubernetes.objects(key))
    off = {
        "engine": {"toolCalling": {"chatTemplate": None}},
        "networking": {"networkPolicy": {"enabled": False}},
        "orchestrator": {"replicas": {"min": 2, "max": 2}},
    }
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": off})
    await kubernetes.reconcile(key)
    gone = {("NetworkPolicy", "demo-engine"), ("HorizontalPodAutoscaler", "demo-orchestrator")}
    assert owned(await kubernetes.objects(key)).keys() == CHILDREN_OF_MINIMAL - gone
    engine = await child(kubernetes, key, "Deployment", "demo-engine")
    assert "chat-template" not in str(engine["spec"])


CHILDREN_FOR_EMBEDDINGS = {
    ("Deployment", "demo-embedding"),
    ("NetworkPolicy", "demo-embedding"),
    ("PodDisruptionBudget", "demo-embedding"),
    ("Service", "demo-embedding"),
    ("Service", "demo-embedding-pods"),
    ("ServiceAccount", "demo-embedding"),
}


async def test_an_engine_for_embeddings_comes_and_goes_with_its_field(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    await kubernetes.reconcile(key)
    before = await child(kubernetes, key, "Deployment", "demo-orchestrator")
    second = {"model": {"source": "hf://org/minilm", "name": "minilm"}, "replicas": 2}
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"embeddingEngine": second}})
    await kubernetes.reconcile(key)
    assert owned(await kubernetes.objects(key)).keys() == CHILDREN_OF_MINIMAL | CHILDREN_FOR_EMBEDDINGS
    assert await kubernetes.reconcile(key) == []
    engine = await child(kubernetes, key, "Deployment", "demo-embedding")
    assert engine["spec"]["replicas"] == 2
    assert "--runner=pooling" in engine["spec"]["template"]["spec"]["containers"][0]["args"]
    settings = (await child(kubernetes, key, "ConfigMap", "demo-orchestrator"))["data"]["config.yaml"]
    assert [each["name"] for each in yaml.safe_load(settings)["upstreams"]] == ["engine", "embedding"]
    after = await child(kubernetes, key, "Deployment", "demo-orchestrator")
    assert after["spec"] == before["spec"], "orchestrators learn of it from their file, and go on"
    conditions = await kubernetes.conditions(key)
    assert (conditions["EmbeddingReady"]["status"], conditions["EmbeddingReady"]["reason"]) == (
        "False",
        "RolloutPending",
    )

    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"suspend": True}})
    await kubernetes.reconcile(key)
    assert await replicas(kubernetes, key, "demo-embedding") == 0
    assert (await kubernetes.conditions(key))["EmbeddingReady"]["reason"] == "Suspended"

    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"suspend": False, "embeddingEngine": None}})
    await kubernetes.reconcile(key)
    assert owned(await kubernetes.objects(key)).keys() == CHILDREN_OF_MINIMAL
    assert "EmbeddingReady" not in await kubernetes.conditions(key)
    assert await kubernetes.reconcile(key) == []


async def test_service_monitors_come_with_their_api(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace, monitoring={"labels": {"release": "prometheus"}})
    await kubernetes.reconcile(key)
    assert (await kubernetes.conditions(key))["MonitoringReady"]["reason"] == "ServiceMonitorApiMissing"
    await kubernetes.define(service_monitors())
    try:
        await kubernetes.reconcile(key, frozenset({SERVICE_MONITOR_API}))
        found = owned(await kubernetes.objects(key))
        assert found["ServiceMonitor", "demo-engine"]["metadata"]["labels"]["release"] == "prometheus"
        assert ("ServiceMonitor", "demo-orchestrator") in found
        assert (await kubernetes.conditions(key))["MonitoringReady"]["status"] == "True"
        assert await kubernetes.reconcile(key, frozenset({SERVICE_MONITOR_API})) == []
        await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"monitoring": {"enabled": False}}})
        await kubernetes.reconcile(key, frozenset({SERVICE_MONITOR_API}))
        assert owned(await kubernetes.objects(key)).keys() == CHILDREN_OF_MINIMAL
    finally:
        await kubernetes.undefine("servicemonitors.monitoring.coreos.com")


def service_monitors() -> Object:
    """Stands for the Prometheus operator's definition."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "servicemonitors.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": "ServiceMonitor", "plural": "servicemonitors", "singular": "servicemonitor"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


async def replicas(kubernetes: Kubernetes, key: Key, name: str) -> int:
    return int((await child(kubernetes, key, "Deployment", name))["spec"]["replicas"])


async def test_the_autoscaler_owns_the_replicas(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    await kubernetes.reconcile(key)
    assert await replicas(kubernetes, key, "demo-orchestrator") == 2, "begins at the fewest, not at 1"
    await kubernetes.edit(by_kind("Deployment"), key, "demo-orchestrator", {"spec": {"replicas": 7}}, "scale")
    assert await kubernetes.reconcile(key) == []
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"orchestrator": {"config": {"drainSeconds": 9}}}})
    await kubernetes.reconcile(key)
    assert await replicas(kubernetes, key, "demo-orchestrator") == 7


async def test_replicas_are_handed_over_to_the_autoscaler_without_a_dip(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace, orchestrator={"replicas": {"min": 4, "max": 4}})
    await kubernetes.reconcile(key)
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"orchestrator": {"replicas": {"max": 9}}}})
    path = "deployments/demo-orchestrator"
    writes = await kubernetes.reconcile(key)
    assert len([write for write in writes if path in write]) == 2, "one manager takes the field, then ours lets go"
    seen = [answer for answer in kubernetes.answers if answer["metadata"]["name"] == "demo-orchestrator"]
    assert {answer["spec"]["replicas"] for answer in seen if answer["kind"] == "Deployment"} == {4}
    assert await kubernetes.reconcile(key) == []


async def test_suspend_scales_to_zero_and_back(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    await kubernetes.reconcile(key)
    key_before = (await child(kubernetes, key, "Secret", "demo-engine-key"))["data"]
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"suspend": True}})
    await kubernetes.reconcile(key)
    assert [await replicas(kubernetes, key, name) for name in ("demo-engine", "demo-orchestrator")] == [0, 0]
    assert ("HorizontalPodAutoscaler", "demo-orchestrator") not in owned(await kubernetes.objects(key))
    conditions = await kubernetes.conditions(key)
    assert (conditions["Ready"]["status"], conditions["Ready"]["reason"]) == ("False", "Suspended")
    assert conditions["Stalled"]["status"] == conditions["Reconciling"]["status"] == "False"
    assert await kubernetes.reconcile(key) == []
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"suspend": False}})
    await kubernetes.reconcile(key)
    assert [await replicas(kubernetes, key, name) for name in ("demo-engine", "demo-orchestrator")] == [1, 2]
    assert owned(await kubernetes.objects(key)).keys() == CHILDREN_OF_MINIMAL
    assert (await child(kubernetes, key, "Secret", "demo-engine-key"))["data"] == key_before
    assert await kubernetes.reconcile(key) == []


async def test_the_engine_key_is_made_once_and_rotated_by_deleting_it(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    await kubernetes.reconcile(key)

    async def state() -> tuple[str, str]:
        secret = await child(kubernetes, key, "Secret", "demo-engine-key")
        annotations = (await template("demo-engine"))["metadata"]["annotations"]
        return secret["data"]["api-key"], annotations["tandem.dev/engine-key"]

    async def template(name: str) -> Object:
        found: Object = (await child(kubernetes, key, "Deployment", name))["spec"]["template"]
        return found

    first, stamp = await state()
    orchestrators = await template("demo-orchestrator")
    assert len(b64decode(first)) >= 40
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"engine": {"dtype": "half"}}})
    await kubernetes.reconcile(key)
    assert await state() == (first, stamp)
    await kubernetes.delete(await child(kubernetes, key, "Secret", "demo-engine-key"))
    await kubernetes.reconcile(key)
    second, new_stamp = await state()
    assert second != first
    assert new_stamp != stamp
    assert await template("demo-orchestrator") == orchestrators, "they read the key again, and keep who waits"


async def test_a_missing_secret_is_named(kubernetes: Kubernetes, namespace: str) -> None:
    async def reason() -> tuple[str, str]:
        await kubernetes.reconcile(key)
        found = (await kubernetes.conditions(key))["OrchestratorReady"]
        return found["reason"], found["message"]

    named = {"files": [{"secretName": "team-keys", "secretKey": "keys.yaml"}]}
    key = await kubernetes.serve(namespace, orchestrator={"config": {"keys": named}})
    assert await reason() == (
        "SecretMissing",
        "the Secret team-keys, which spec.orchestrator.config names, does not exist; create it",
    )
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "team-keys", "namespace": namespace}}
    await kubernetes.create({**secret, "stringData": {"wrong.yaml": "a"}})
    reason_now, message = await reason()
    assert reason_now == "SecretMissing"
    assert "has no key keys.yaml" in message
    assert "wrong.yaml" not in message
    await kubernetes.edit(by_kind("Secret"), key, "team-keys", {"stringData": {"keys.yaml": "a"}})
    assert (await reason())[0] == "RolloutPending"
    assert await kubernetes.reconcile(key) == [], "looking writes nothing"


async def test_a_missing_config_map_is_named_and_what_is_in_one_rolls_nothing(
    kubernetes: Kubernetes, namespace: str
) -> None:
    async def reason() -> tuple[str, str]:
        await kubernetes.reconcile(key)
        found = (await kubernetes.conditions(key))["OrchestratorReady"]
        return found["reason"], found["message"]

    tasks = [{"configMapName": "tickets", "configMapKey": "tickets.yaml"}]
    key = await kubernetes.serve(namespace, orchestrator={"config": {"tasksFrom": tasks}})
    where = "which spec.orchestrator.config.tasksFrom names"
    assert await reason() == ("ConfigMapMissing", f"the ConfigMap tickets, {where}, does not exist; create it")
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tickets", "namespace": namespace}}
    await kubernetes.create({**config_map, "data": {"other.yaml": "tasks: []"}})
    message = f"the ConfigMap tickets has no key tickets.yaml, {where}; add it or correct that"
    assert await reason() == ("ConfigMapMissing", message)
    await kubernetes.edit(by_kind("ConfigMap"), key, "tickets", {"data": {"tickets.yaml": "tasks: []"}})
    assert (await reason())[0] == "RolloutPending"
    await kubernetes.edit(by_kind("ConfigMap"), key, "tickets", {"data": {"tickets.yaml": "tasks: [{}]"}})
    assert await kubernetes.reconcile(key) == [], "its content is the pods' business alone"


@pytest.mark.parametrize("name", ["demo", "demo-embedding"])
async def test_an_object_of_somebody_else_is_not_taken_over(kubernetes: Kubernetes, namespace: str, name: str) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"ports": [{"port": 5432}], "selector": {"app": "database"}},
    }
    await kubernetes.create(theirs)
    key = await kubernetes.serve(namespace, embeddingEngine={"model": {"source": "hf://org/minilm"}})
    with pytest.raises(RetryError, match="does not belong to this LLMService"):
        await kubernetes.reconcile(key)
    assert (await child(kubernetes, key, "Service", name))["spec"]["selector"] == {"app": "database"}
    conditions = await kubernetes.conditions(key)
    assert (conditions["Stalled"]["status"], conditions["Stalled"]["reason"]) == ("True", "NameTaken")


async def test_a_child_that_the_api_server_refuses_is_explained(kubernetes: Kubernetes, namespace: str) -> None:
    nowhere = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In"}]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": nowhere}}
    key = await kubernetes.serve(namespace, engine={"affinity": affinity})
    with pytest.raises(RetryError, match="demo-engine"):
        await kubernetes.reconcile(key)
    stalled = (await kubernetes.conditions(key))["Stalled"]
    assert (stalled["status"], stalled["reason"]) == ("True", "Refused")
    assert "Deployment demo-engine was refused" in stalled["message"]
    assert ("Deployment", "demo-orchestrator") in owned(await kubernetes.objects(key)), "the rest goes on"


async def test_an_invalid_spec_is_reported_and_changes_nothing(kubernetes: Kubernetes, namespace: str) -> None:
    """The API server's rules may be missing: an older definition, or one that was edited."""
    key = await kubernetes.serve(namespace)
    await kubernetes.reconcile(key)
    before = owned(await kubernetes.objects(key))
    cluster = Cluster(kubernetes, Images())
    for item in await kubernetes.objects(key):
        invalid = {"spec": {"model": {"source": "nowhere"}}} if item["kind"] == LLM_SERVICE.kind else {}
        cluster.store.put({**item, **invalid})
    await reconcile(cluster, key)
    stalled = (await kubernetes.conditions(key))["Stalled"]
    assert (stalled["status"], stalled["reason"]) == ("True", "InvalidSpec")
    assert "spec.model: model.source must begin with" in stalled["message"]
    assert owned(await kubernetes.objects(key)) == before


async def test_an_argument_that_the_images_release_lacks_changes_nothing(
    kubernetes: Kubernetes, namespace: str
) -> None:
    key = await kubernetes.serve(namespace, engine={"extraArgs": ["--swap-space=4"]})
    await kubernetes.reconcile(key)
    stalled = (await kubernetes.conditions(key))["Stalled"]
    assert (stalled["status"], stalled["reason"]) == ("True", "InvalidSpec")
    assert "spec.engine.extraArgs: --swap-space is not in vLLM v0.33.0" in stalled["message"]
    assert ("Deployment", "demo-engine") not in owned(await kubernetes.objects(key))


async def test_a_service_that_is_being_deleted_is_left_alone(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"metadata": {"finalizers": ["tests.example/hold"]}})
    service = await kubernetes.get(LLM_SERVICE, *key)
    assert service
    await kubernetes.delete(service)
    assert await kubernetes.reconcile(key) == []
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"metadata": {"finalizers": None}})
    assert await kubernetes.reconcile(key) == [], "and so is one that is gone"


async def test_children_are_owned_so_that_kubernetes_deletes_them(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    await kubernetes.reconcile(key)
    service = await kubernetes.get(LLM_SERVICE, *key)
    assert service
    for item in owned(await kubernetes.objects(key)).values():
        (owner,) = item["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (service["metadata"]["uid"], True)
