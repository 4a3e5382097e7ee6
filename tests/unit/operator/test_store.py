"""What the operator remembers of what its watches showed."""

from typing import Any

from tandem_operator.api.component import Reference
from tandem_operator.kube.store import Key, Store

DEMO = Key("ns", "demo")
OTHER = Key("ns", "other")


def item(version: int, service: str | None = "demo", uid: str = "u1", kind: str = "Service", name: str = "a") -> Any:
    labels = {"tandem.dev/llmservice": service} if service else {}
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": "ns", "uid": uid, "resourceVersion": str(version), "labels": labels},
    }


def test_the_newest_version_wins() -> None:
    store = Store()
    assert store.put(item(2)) == {DEMO}
    store.put(item(1))
    assert store.children(DEMO)[Reference("Service", "a")] == item(2)
    store.put(item(10))
    assert store.children(DEMO)[Reference("Service", "a")] == item(10)


def test_what_is_known_already_is_no_news() -> None:
    store = Store()
    assert store.put(item(2)) == {DEMO}
    assert store.put(item(2)) == set(), "such as the echo of a write of our own"
    assert store.put(item(1)) == set()
    assert store.put(item(1, service="other")) == set(), "whose it was before"
    assert store.children(OTHER) == {}


def test_a_successor_replaces_its_predecessor_for_good() -> None:
    store = Store()
    store.put(item(1, uid="old"))
    store.put(item(5, uid="new"))
    assert not store.knows("old")
    assert store.objects(None) == {"new": item(5, uid="new")}


def test_after_a_restore_an_older_version_may_be_the_truth() -> None:
    store = Store()
    store.put(item(9))
    assert store.put(item(3)) == set()
    assert store.replace(item(3)) == {DEMO}
    assert store.get(item(9)) == item(3)


def test_what_is_known_of_one_namespace_is_told_from_the_others() -> None:
    store = Store()
    elsewhere = item(1, uid="u2")
    elsewhere["metadata"]["namespace"] = "elsewhere"
    store.put(item(1))
    store.put(elsewhere)
    assert store.objects("ns").keys() == {"u1"}
    assert store.objects(None).keys() == {"u1", "u2"}


def test_a_dropped_object_is_gone() -> None:
    store = Store()
    store.put(item(1))
    assert store.drop(item(2)) == {DEMO}
    assert store.children(DEMO) == {}
    assert store.drop(item(2)) == set()


def test_late_news_of_a_predecessor_do_not_drop_its_successor() -> None:
    store = Store()
    store.put(item(1, uid="old"))
    store.put(item(5, uid="new"))
    store.drop(item(2, uid="old"))
    assert store.children(DEMO)[Reference("Service", "a")]["metadata"]["uid"] == "new"


def test_an_object_that_changes_hands_concerns_both() -> None:
    store = Store()
    store.put(item(1))
    assert store.put(item(2, service="other")) == {DEMO, OTHER}
    assert store.children(DEMO) == {}
    assert len(store.children(OTHER)) == 1
    assert store.put(item(3, service=None)) == {OTHER}
    assert store.children(OTHER) == {}


def test_what_nobody_reads_is_not_kept() -> None:
    fields: dict[str, Any] = {"f:spec": {"f:replicas": {}, "f:template": {}}}
    ours, overwritten, theirs = (
        {"manager": manager, "operation": operation, "fieldsV1": fields}
        for manager, operation in (("tandem-operator", "Apply"), ("tandem-operator", "Update"), ("kubectl", "Update"))
    )
    managers = [
        ours,
        overwritten,
        {**theirs, "fieldsV1": {**fields, "f:metadata": {"f:labels": {}}}},
        {"manager": "status", "operation": "Update", "fieldsV1": {"f:status": {}}},
        {"manager": "none", "operation": "Update"},
    ]
    big = item(1)
    big["metadata"]["managedFields"] = managers
    big["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "own": "1"}
    store = Store()
    store.put(big)
    kept = store.children(DEMO)[Reference("Service", "a")]["metadata"]
    assert kept["annotations"] == {"own": "1"}
    replicas = {**ours, "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    assert kept["managedFields"] == [replicas, overwritten, theirs], "what others have set, and who holds the replicas"
    assert big["metadata"]["managedFields"] == managers, "whose object it is may go on reading all of it"


def test_a_pod_s_spec_is_not_kept() -> None:
    pod = {**item(1, kind="Pod"), "status": {"phase": "Running"}}
    store = Store()
    store.put({**pod, "spec": {"containers": [{"name": "orchestrator"}]}})
    assert store.pods(DEMO) == [pod]


def test_services_children_and_pods_are_kept_apart() -> None:
    store = Store()
    store.put(item(1, kind="LLMService", name="demo", uid="cr"))
    store.put(item(1, kind="Pod", uid="p"))
    store.put(item(1, service="orphaned", uid="o"))
    assert store.services() == [DEMO]
    assert store.children(DEMO) == {}
    assert len(store.pods(DEMO)) == 1
    assert store.service(DEMO) is not None
    assert store.service(Key("ns", "orphaned")) is None
