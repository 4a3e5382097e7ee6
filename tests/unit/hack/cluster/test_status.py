from typing import Any

from hack.cluster.status import Part, of_object, table


def item(**condition: Any) -> dict[str, Any]:
    return {"metadata": {"name": "tandem"}, "status": {"conditions": [{"type": "Ready", **condition}]}}


def test_a_node_is_well_when_it_is_ready_and_says_why_when_not() -> None:
    assert of_object("node", item(status="True")) == Part("node tandem", well=True, text="is ready")
    assert of_object("pod", item(status="False", message="no disk")).text == "is not ready: no disk"
    assert not of_object("pod", {"metadata": {"name": "new"}, "status": {}}).well


def test_what_is_wrong_is_seen_at_once() -> None:
    lines = table([Part("etcd", well=True, text="runs"), Part("kubelet", well=False, text="does not run")]).splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "BAD"]
