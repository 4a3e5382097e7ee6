"""What the operator does on news of the past."""

import pytest
from tandem_operator.kube.comparison import compare
from tandem_operator.kube.resources import LLM_SERVICE
from tandem_operator.kube.store import Key
from tandem_operator.manifests import Images
from tandem_operator.reconcile import Cluster, reconcile
from tandem_operator.workqueue import RetryError

from tests.integration.cluster import Kubernetes, by_kind
from tests.integration.test_reconcile import CHILDREN_OF_MINIMAL, owned


async def remembered(kubernetes: Kubernetes, key: Key) -> Cluster:
    """An operator that has seen what there is now, and sees nothing more."""
    cluster = Cluster(kubernetes, Images())
    for item in await kubernetes.objects(key):
        cluster.store.put(item)
    return cluster


async def delete_all(kubernetes: Kubernetes, key: Key) -> None:
    for item in await kubernetes.objects(key):
        await kubernetes.delete(item)


async def uid_of(kubernetes: Kubernetes, key: Key) -> str:
    service = await kubernetes.get(LLM_SERVICE, *key)
    assert service
    return str(service["metadata"]["uid"])


async def test_nothing_is_made_for_a_service_that_is_gone(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    cluster = await remembered(kubernetes, key)
    await delete_all(kubernetes, key)
    with pytest.raises(RetryError, match="deleted"):
        await reconcile(cluster, key)
    assert await kubernetes.objects(key) == []
    await reconcile(cluster, key)
    assert await kubernetes.objects(key) == []


async def test_a_child_of_a_service_that_is_gone_is_not_brought_back_by_an_edit(
    kubernetes: Kubernetes, namespace: str
) -> None:
    key = await kubernetes.serve(namespace)
    await kubernetes.reconcile(key)
    await kubernetes.edit(by_kind("Deployment"), key, "demo-engine", {"spec": {"replicas": 9}})
    cluster = await remembered(kubernetes, key)
    await delete_all(kubernetes, key)
    with pytest.raises(RetryError, match="deleted"):
        await reconcile(cluster, key)
    assert await kubernetes.objects(key) == []


async def test_a_successor_of_the_same_name_gets_children_of_its_own(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    cluster = await remembered(kubernetes, key)
    await delete_all(kubernetes, key)
    await kubernetes.serve(*key)
    with pytest.raises(RetryError, match="deleted"):
        await reconcile(cluster, key)
    await reconcile(cluster, key)
    children = owned(await kubernetes.objects(key))
    assert children.keys() == CHILDREN_OF_MINIMAL
    owners = {owner["uid"] for item in children.values() for owner in item["metadata"]["ownerReferences"]}
    assert owners == {await uid_of(kubernetes, key)}


async def test_a_comparison_drops_what_is_gone_and_fetches_what_is_new(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    await kubernetes.reconcile(key)
    gone = await kubernetes.serve(namespace, "gone")
    cluster = await remembered(kubernetes, key)
    for item in await kubernetes.objects(gone):
        cluster.store.put(item)
    assert await compare(kubernetes, cluster.store, namespace) == (set(), False), "nothing was missed"
    await delete_all(kubernetes, gone)
    service = await kubernetes.get(by_kind("Service"), namespace, "demo")
    assert service
    await kubernetes.delete(service)
    await kubernetes.edit(by_kind("Deployment"), key, "demo-engine", {"spec": {"replicas": 9}})
    new = await kubernetes.serve(namespace, "new")
    assert await compare(kubernetes, cluster.store, namespace) == ({key, gone, new}, False)
    assert set(cluster.store.services()) == {key, new}
    children = cluster.store.children(key)
    assert ("Service", "demo") not in children
    assert children["Deployment", "demo-engine"]["spec"]["replicas"] == 9  # type: ignore[index]
