"""When a child has to be written, and when not."""

import copy
from typing import Any

import pytest
from tandem_operator.kube.difference import HANDOVER_MANAGER, MANAGER, covers, next_write, stamped

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


def test_entries_that_others_add_to_merged_lists_are_no_difference() -> None:
    item = live()
    item["spec"]["template"]["spec"]["containers"].insert(0, {"name": "sidecar"})
    assert next_write(WANTED, item) is None


def test_a_field_that_is_no_longer_wanted_is_noticed() -> None:
    item = live(spec={**WANTED["spec"], "paused": True})
    assert covers(item, WANTED)
    assert next_write(WANTED, item) is not None


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
