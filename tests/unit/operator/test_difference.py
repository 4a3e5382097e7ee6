"""When a child has to be written, and when not."""

import copy
from typing import Any

import pytest
from tandem_operator.kube.difference import HANDOVER_MANAGER, LEFT_ALONE, MANAGER, differences, next_write, stamped

Claims = dict[str, Any]

WANTED: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "a", "namespace": "b", "labels": {"x": "y"}},
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {"name": "c", "args": ["--a", "--b"], "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}}}
                ]
            }
        }
    },
}


def claim(fields: Claims, manager: str = "hand", operation: str = "Update") -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": fields}


def of_pods(fields: Claims) -> Claims:
    return {"f:spec": {"f:template": {"f:spec": fields}}}


def of_container(fields: Claims, name: str = "c") -> Claims:
    return of_pods({"f:containers": {f'k:{{"name":"{name}"}}': fields}})


def live(replicas: int | None = None, owners: tuple[str, ...] = (), **wanted: Any) -> dict[str, Any]:
    """The object as the API server would show it: defaults filled in, quantities in its own spelling."""
    item = copy.deepcopy(stamped({**WANTED, **wanted}))
    (container,) = item["spec"]["template"]["spec"]["containers"]
    container["resources"]["limits"] = {"cpu": "1", "memory": "1Gi"}
    container["imagePullPolicy"] = "Always"
    if replicas is not None:
        item["spec"]["replicas"] = replicas
    item["metadata"]["resourceVersion"] = "7"
    item["metadata"]["managedFields"] = [
        {"manager": owner, "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}} for owner in owners
    ]
    return item


def test_an_object_that_does_not_exist_is_written() -> None:
    write = next_write(WANTED, None)
    assert write is not None
    assert write.manager == MANAGER


def test_defaults_and_other_spellings_are_no_difference() -> None:
    assert next_write(WANTED, live()) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda item: item["metadata"]["labels"].update(x="z"),
        lambda item: item["metadata"]["labels"].clear(),
        lambda item: item["metadata"]["annotations"].clear(),
        lambda item: item["spec"]["template"]["spec"]["containers"][0]["args"].append("--c"),
        lambda item: item["spec"]["template"]["spec"]["containers"][0]["args"].reverse(),
        lambda item: item["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"].update(cpu="2"),
        lambda item: item["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"].update(memory="1e9"),
        lambda item: item["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"].update(memory="10E"),
        lambda item: item["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"].update(memory="?"),
        lambda item: item["spec"]["template"]["spec"]["containers"][0].update(name="d"),
        lambda item: item["spec"]["template"]["spec"].pop("containers"),
    ],
)
def test_what_a_hand_changed_is_written_again(change: Any) -> None:
    item = live()
    change(item)
    assert next_write(WANTED, item) is not None


def test_what_no_client_has_set_is_no_difference() -> None:
    item = live()
    pods = item["spec"]["template"]["spec"]
    pods["containers"].insert(0, {"name": "sidecar"})
    pods["hostNetwork"] = True
    assert next_write(WANTED, item) is None


@pytest.mark.parametrize(
    ("change", "claimed", "path"),
    [
        (lambda pods: pods.update(hostNetwork=True), of_pods({"f:hostNetwork": {}}), "hostNetwork"),
        (lambda pods: pods["containers"].append({"name": "d"}), of_container({".": {}}, "d"), "containers[d]"),
        (
            lambda pods: pods["containers"][0].update(securityContext={"runAsUser": 0}),
            of_container({"f:securityContext": {"f:runAsUser": {}}}),
            "containers[c].securityContext",
        ),
        (
            lambda pods: pods["containers"][0]["resources"]["limits"].update(gpu="9"),
            of_container({"f:resources": {"f:limits": {"f:gpu": {}}}}),
            "containers[c].resources.limits.gpu",
        ),
        (lambda pods: pods.update(tolerations=[{"operator": "Exists"}]), of_pods({"f:tolerations": {}}), "tolerations"),
        (lambda pods: pods.update(hostNetwork=True), {"f:spec": {"f:template": {}}}, "hostNetwork"),
    ],
)
def test_what_a_client_has_added_is_named_with_the_client(change: Any, claimed: Claims, path: str) -> None:
    item = live()
    change(item["spec"]["template"]["spec"])
    item["metadata"]["managedFields"] = [claim(claimed), claim({})]
    found = [difference for difference in differences(item, stamped(WANTED)) if path in str(difference)]
    assert [str(difference) for difference in found] == [f"spec.template.spec.{path}"]
    assert {difference.manager for difference in found} == {"hand"}
    assert all(difference.extra for difference in found)


def test_what_was_changed_is_named_with_who_changed_it() -> None:
    item = live()
    item["spec"]["template"]["spec"]["containers"][0]["args"] = []
    item["metadata"]["managedFields"] = [claim(of_container({"f:args": {}}))]
    (found,) = differences(item, stamped(WANTED))
    assert (str(found), found.extra, found.manager) == ("spec.template.spec.containers[c].args", False, "hand")


def test_one_merge_patch_takes_away_what_was_added() -> None:
    item = live()
    pods = item["spec"]["template"]["spec"]
    pods.update(hostNetwork=True)
    pods["containers"].append({"name": "d"})
    item["metadata"]["managedFields"] = [
        claim(of_pods({"f:hostNetwork": {}})),
        claim(of_container({}, "d"), "other", "Apply"),
    ]
    write = next_write(WANTED, item)
    assert write is not None
    assert write.removes
    assert write.drift
    patch = write.patch()["spec"]["template"]["spec"]
    assert patch == {**WANTED["spec"]["template"]["spec"], "hostNetwork": None}


def test_a_patch_leaves_other_owners_alone() -> None:
    ours: dict[str, Any] = {"metadata": {**WANTED["metadata"], "ownerReferences": [{"uid": "1"}]}}
    item = live(**ours)
    item["metadata"]["ownerReferences"].append({"uid": "2"})
    item["spec"]["paused"] = True
    item["metadata"]["managedFields"] = [claim({"f:spec": {"f:paused": {}}})]
    write = next_write({**WANTED, **ours}, item)
    assert write is not None
    assert "ownerReferences" not in write.patch()["metadata"]
    item["metadata"]["ownerReferences"].pop(0)
    write = next_write({**WANTED, **ours}, item)
    assert write is not None
    assert "ownerReferences" in write.patch()["metadata"]


@pytest.mark.parametrize("kind", LEFT_ALONE)
def test_what_others_may_add_is_no_difference(kind: str) -> None:
    spec = {"template": {"x": 1}, "ports": {"x": 1}}
    wanted = stamped({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a", "labels": {}}, "spec": spec})
    for path in (*LEFT_ALONE[kind], "metadata.finalizers", "metadata.labels.team", "status"):
        tree: Claims = {}
        value: Any = ["theirs"]
        for name in reversed(path.split(".")):
            tree, value = {f"f:{name}": tree}, {name: value}
        item = copy.deepcopy(merged(wanted, value))
        item["metadata"]["managedFields"] = [claim(tree)]
        assert not differences(item, wanted), path


def merged(item: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = {
        name: merged(item[name], value) if isinstance(item.get(name), dict) else value for name, value in other.items()
    }
    return {**item, **both}


@pytest.mark.parametrize("spec", [{"podSelector": {"matchLabels": {"a": "b"}}}, {"ingress": [{"from": [{}]}]}])
def test_nobody_may_add_to_what_keeps_the_engine_closed(spec: dict[str, Any]) -> None:
    policy = {"apiVersion": "v1", "kind": "NetworkPolicy", "metadata": {"name": "a"}, "spec": spec}
    item = copy.deepcopy(stamped(policy))
    if "ingress" in spec:
        item["spec"]["ingress"][0]["from"][0]["ipBlock"] = {"cidr": "0.0.0.0/0"}
    else:
        item["spec"]["podSelector"]["matchLabels"]["c"] = "d"
    (found,) = differences(item, stamped(policy))
    assert found.exact


def test_what_the_api_server_leaves_out_is_no_difference() -> None:
    empty: dict[str, Any] = {"a": "", "b": [], "c": {}, "d": None}
    wanted = {**WANTED, "spec": {**WANTED["spec"], **empty}}
    item = live(**wanted)
    for name in empty:
        del item["spec"][name]
    assert next_write(wanted, item) is None
    for name, value in (("emptyDir", {}), ("token", False), ("replicas", 0)):
        changed = {**WANTED, "spec": {**WANTED["spec"], name: value}}
        item = live(**changed)
        del item["spec"][name]
        assert next_write(changed, item) is not None


def test_a_field_that_is_no_longer_wanted_is_noticed() -> None:
    """An earlier apply of ours goes by itself, an earlier merge patch of ours has to be taken back."""
    item = live(spec={**WANTED["spec"], "paused": True})
    write = next_write(WANTED, item)
    assert write is not None
    assert not write.removes
    item["metadata"]["managedFields"] = [claim({"f:spec": {"f:paused": {}}}, MANAGER)]
    write = next_write(WANTED, item)
    assert write is not None
    assert write.patch()["spec"]["paused"] is None
    assert not write.drift


def test_what_our_merge_patch_has_set_is_no_difference_while_the_same_is_wanted() -> None:
    item = live()
    item["metadata"]["managedFields"] = [claim(of_container({"f:imagePullPolicy": {}}), MANAGER)]
    assert next_write(WANTED, item) is None


def test_replicas_begin_at_the_floor() -> None:
    write = next_write(WANTED, None, floor=3)
    assert write is not None
    assert write.manifest["spec"]["replicas"] == 3


@pytest.mark.parametrize("replicas", [0, None])
def test_replicas_come_back_to_the_floor_from_zero(replicas: int | None) -> None:
    write = next_write(WANTED, live(replicas, (MANAGER,)), floor=3)
    assert write is not None
    assert write.manifest["spec"]["replicas"] == 3


def test_replicas_are_given_to_another_manager_before_ours_lets_go() -> None:
    write = next_write(WANTED, live(5, (MANAGER,)), floor=3)
    assert write is not None
    assert write.manager == HANDOVER_MANAGER
    assert write.manifest["spec"] == {"replicas": 5}
    assert write.manifest["metadata"]["resourceVersion"] == "7"


def test_replicas_of_the_autoscaler_are_left_alone() -> None:
    assert next_write(WANTED, live(9, (HANDOVER_MANAGER,)), floor=3) is None
    assert next_write(WANTED, live(9), floor=3) is None
