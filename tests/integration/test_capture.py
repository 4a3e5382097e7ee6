"""A name is no right: what carries the name of a child and belongs to others is neither taken over nor used."""

from typing import Any

import pytest
from tandem_operator.api.component import SERVICE_MONITOR_API
from tandem_operator.kube.resources import LLM_SERVICE, Object
from tandem_operator.kube.store import Key, reference
from tandem_operator.manifests import Images
from tandem_operator.reconcile import Cluster, reconcile
from tandem_operator.workqueue import RetryError

from tests.integration.cluster import Kubernetes, by_kind
from tests.integration.test_reconcile import CHILDREN_OF_MINIMAL, child, owned, service_monitors

CLOUD_ROLE = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/rules-engine"}
CHAT_TEMPLATE = {"toolCalling": {"chatTemplate": "{{ messages }}"}}


def foreign(kind: str, name: str, namespace: str, **fields: Any) -> Object:
    metadata = {"name": name, "namespace": namespace, "annotations": CLOUD_ROLE}
    return {"apiVersion": by_kind(kind).api_version, "kind": kind, "metadata": metadata, **fields}


POD = {"containers": [{"name": "a", "image": "a"}]}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": POD}
SELECTOR = {"matchLabels": {"a": "b"}}
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}
FOREIGN: list[tuple[str, str, dict[str, Any]]] = [
    ("ServiceAccount", "rules-engine", {}),
    ("ServiceAccount", "rules-orchestrator", {}),
    ("Secret", "rules-engine-key", {"data": {"api-key": "a25vd24="}}),
    ("ConfigMap", "rules-orchestrator", {"data": {"config.yaml": "{}"}}),
    ("ConfigMap", "rules-engine", {"data": {"chat-template.jinja": "{{ 1 }}"}}),
    ("Service", "rules", {"spec": {"ports": [{"port": 1}]}}),
    ("Service", "rules-engine-pods", {"spec": {"ports": [{"port": 1}]}}),
    ("NetworkPolicy", "rules-engine", {"spec": {"podSelector": {}}}),
    ("Deployment", "rules-orchestrator", {"spec": {"selector": SELECTOR, "template": TEMPLATE}}),
    ("HorizontalPodAutoscaler", "rules-orchestrator", {"spec": {"maxReplicas": 1, "scaleTargetRef": TARGET}}),
    ("PodDisruptionBudget", "rules-orchestrator", {"spec": {"selector": SELECTOR}}),
]


async def stalled(kubernetes: Kubernetes, key: Key) -> tuple[str, str]:
    condition = (await kubernetes.conditions(key))["Stalled"]
    return condition["status"], condition["reason"]


@pytest.mark.parametrize(("kind", "name", "fields"), FOREIGN, ids=[f"{kind} {name}" for kind, name, _ in FOREIGN])
async def test_nothing_is_made_beside_an_object_of_somebody_else(
    kubernetes: Kubernetes, namespace: str, kind: str, name: str, fields: dict[str, Any]
) -> None:
    await kubernetes.create(foreign(kind, name, namespace, **fields))
    before = await kubernetes.get(by_kind(kind), namespace, name)
    key = await kubernetes.serve(namespace, "rules", engine=CHAT_TEMPLATE)
    with pytest.raises(RetryError, match="does not belong to this LLMService"):
        await kubernetes.reconcile(key)
    assert owned(await kubernetes.objects(key)) == {}
    assert await kubernetes.get(by_kind(kind), namespace, name) == before
    assert await stalled(kubernetes, key) == ("True", "NameTaken")


async def test_what_nothing_uses_holds_nothing_up(kubernetes: Kubernetes, namespace: str) -> None:
    await kubernetes.define(service_monitors())
    try:
        await kubernetes.create(foreign("ServiceMonitor", "demo-engine", namespace))
        key = await kubernetes.serve(namespace)
        with pytest.raises(RetryError, match="ServiceMonitor demo-engine"):
            await kubernetes.reconcile(key, frozenset({SERVICE_MONITOR_API}))
        found = owned(await kubernetes.objects(key))
        assert found.keys() == CHILDREN_OF_MINIMAL | {("ServiceMonitor", "demo-orchestrator")}
        assert (await kubernetes.conditions(key))["MonitoringReady"]["reason"] == "NameTaken"
    finally:
        await kubernetes.undefine("servicemonitors.monitoring.coreos.com")


class Overtaken(Kubernetes):
    """The API server, with somebody who is a moment faster than the operator's next write of a path."""

    meanwhile: dict[str, Object]

    async def _request(self, method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        if method == "PATCH" and (theirs := self.meanwhile.pop(path, None)):
            await self.create(theirs)
        return await super()._request(method, path, *args, **kwargs)


async def test_who_is_faster_by_a_moment_keeps_the_object(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace, "rules")
    faster = Overtaken(kubernetes._client)
    theirs = foreign("ServiceAccount", "rules-engine", namespace)
    faster.meanwhile = {by_kind("ServiceAccount").path(namespace, "rules-engine"): theirs}
    with pytest.raises(RetryError):
        await faster.reconcile(key)
    assert faster.meanwhile == {}
    account = await child(kubernetes, key, "ServiceAccount", "rules-engine")
    assert "ownerReferences" not in account["metadata"]
    assert "labels" not in account["metadata"]
    assert not [kind for kind, _ in owned(await kubernetes.objects(key)) if kind == "Deployment"]
    with pytest.raises(RetryError, match="does not belong to this LLMService"):
        await kubernetes.reconcile(key)
    assert await stalled(kubernetes, key) == ("True", "NameTaken")


async def test_a_name_that_is_taken_later_stops_changes_and_nothing_that_runs(
    kubernetes: Kubernetes, namespace: str
) -> None:
    key = await kubernetes.serve(namespace)
    await kubernetes.reconcile(key)
    await kubernetes.delete(await child(kubernetes, key, "ServiceAccount", "demo-engine"))
    await kubernetes.create(foreign("ServiceAccount", "demo-engine", namespace))
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"engine": {"dtype": "half"}}})
    before = owned(await kubernetes.objects(key))
    with pytest.raises(RetryError, match="does not belong to this LLMService"):
        await kubernetes.reconcile(key)
    assert owned(await kubernetes.objects(key)) == before
    assert await stalled(kubernetes, key) == ("True", "NameTaken")
    await kubernetes.delete(await child(kubernetes, key, "ServiceAccount", "demo-engine"))
    await kubernetes.reconcile(key)
    assert owned(await kubernetes.objects(key)).keys() == CHILDREN_OF_MINIMAL
    engine = await child(kubernetes, key, "Deployment", "demo-engine")
    assert "--dtype=half" in engine["spec"]["template"]["spec"]["containers"][0]["args"]


@pytest.mark.parametrize("theirs", [None, {"theirs": "1"}], ids=["gone", "of somebody else"])
async def test_old_news_do_not_make_another_object_ours(
    kubernetes: Kubernetes, namespace: str, theirs: dict[str, str] | None
) -> None:
    """The watch has yet to tell that a child was deleted, and perhaps that somebody has made one of that name."""
    key = await kubernetes.serve(namespace)
    await kubernetes.reconcile(key)
    cluster = Cluster(kubernetes, Images())
    for item in await kubernetes.objects(key):
        is_it = reference(item) == ("ConfigMap", "demo-orchestrator")
        cluster.store.put({**item, "data": {}} if is_it else item)
    await kubernetes.delete(await child(kubernetes, key, "ConfigMap", "demo-orchestrator"))
    if theirs:
        await kubernetes.create(foreign("ConfigMap", "demo-orchestrator", namespace, data=theirs))
    with pytest.raises(RetryError):
        await reconcile(cluster, key)
    found = await kubernetes.get(by_kind("ConfigMap"), namespace, "demo-orchestrator")
    assert (found or {}).get("data") == theirs
