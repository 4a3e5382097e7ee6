"""What somebody deletes or edits by hand comes back, also when it happened while no operator ran."""

import json

import pytest

from tests.e2e.cluster import Namespace, eventually, operator_down

WITHIN = 120
CHILDREN = [
    ("service", "demo"),
    ("configmap", "demo-orchestrator"),
    ("horizontalpodautoscaler", "demo-orchestrator"),
    ("poddisruptionbudget", "demo-orchestrator"),
]


@pytest.mark.parametrize(("kind", "name"), CHILDREN, ids=[f"{kind}-{name}" for kind, name in CHILDREN])
def test_deleted_child_comes_back(service: Namespace, kind: str, name: str) -> None:
    before = service.get(kind, name)
    assert before
    service.kubectl("delete", kind, name)
    after = eventually(lambda: service.get(kind, name), within=WITHIN, what=f"{kind} {name} is back")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


def test_edited_child_is_put_right(service: Namespace) -> None:
    patch = [{"op": "replace", "path": "/spec/ports/0/port", "value": 81}]
    service.kubectl("patch", "service", "demo", "--type=json", f"--patch={json.dumps(patch)}")
    eventually(lambda: port(service) == 80, within=WITHIN, what="the Service's port is 80 again")


def test_child_deleted_while_the_operator_was_down_comes_back(service: Namespace) -> None:
    with operator_down():
        service.kubectl("delete", "poddisruptionbudget", "demo-orchestrator")
    eventually(
        lambda: service.get("poddisruptionbudget", "demo-orchestrator"),
        within=WITHIN,
        what="the PodDisruptionBudget is back after the operator's restart",
    )


def port(service: Namespace) -> int:
    found = service.get("service", "demo")
    return found["spec"]["ports"][0]["port"] if found else 0
