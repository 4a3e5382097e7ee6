"""A pod of an engine that hangs is deleted, once, and no other."""

from pathlib import Path
from typing import Any

from tandem_operator.kube.resources import POD, Object
from tandem_operator.kube.store import Key

from hack.cluster.control_plane import ControlPlane
from tests.integration.cluster import Kubernetes, eventually
from tests.integration.conftest import running_operator
from tests.integration.pods import (
    PodServer,
    listening_at,
    made_by_its_deployment,
    named,
    owner,
    ready_pod,
    replica_set,
)
from tests.integration.test_running import asked_again, complete
from tests.sockets.tools.service import Says


def at_work(**progress: str) -> Says:
    """What an orchestrator says of engines at these addresses, of which only the last number is given."""
    told = [
        {"upstream": "engine", "address": f"10.0.0.{name[1:]}", "progress": each, "seconds": 95}
        for name, each in progress.items()
    ]
    return Says({"status": "ready", "degraded": [], "limitations": [], "at_work": told})


def on_a_node(name: str, deployment: Object) -> Object:
    """A pod that goes when its node's kubelet says so, which there is none of."""
    pod = named(name, deployment)
    pod["spec"]["nodeName"] = "nowhere"
    return pod


async def test_a_pod_that_hangs_is_replaced_and_one_that_many_wait_for_is_not(
    kubernetes: Kubernetes, control_plane: ControlPlane, tmp_path: Path
) -> None:
    namespace = await kubernetes.namespace("hangs")
    key = Key(namespace, "demo")

    async def pod(name: str) -> Any:
        return await kubernetes.get(POD, namespace, name)

    async def leaves() -> Any:
        found = await pod("hung")
        return "deletionTimestamp" in found["metadata"] and found

    async def engine_ready() -> tuple[str, str]:
        found = (await kubernetes.conditions(key))["EngineReady"]
        return found["reason"], found["message"]

    async def told() -> bool:
        return (await engine_ready())[0] == "Hung"

    async def told_no_more() -> bool:
        return not await told()

    with running_operator(control_plane, tmp_path / "log", namespace, "--resync-seconds=0.5"):
        async with PodServer() as orchestrator:
            orchestrator.says["/ready"] = at_work(_8="moves")
            await kubernetes.serve(namespace, orchestrator=listening_at(orchestrator.port))
            await complete(kubernetes, key)
            deployment, made = await replica_set(kubernetes, key, "engine")
            await ready_pod(kubernetes, key, on_a_node("hung", deployment), owner(made), address="10.0.0.7")
            await ready_pod(kubernetes, key, on_a_node("busy", deployment), owner(made), address="10.0.0.8")
            await ready_pod(kubernetes, key, on_a_node("stranger", deployment), address="10.0.0.7")
            await made_by_its_deployment(kubernetes, key)
            orchestrator.says["/ready"] = at_work(_7="stands", _8="moves")
            await asked_again(orchestrator)
            assert "deletionTimestamp" not in (await pod("hung"))["metadata"]
            orchestrator.says["/ready"] = at_work(_7="hangs", _8="moves")
            hung = await eventually(leaves)
            assert hung["metadata"]["deletionGracePeriodSeconds"] == 10
            await eventually(told)
            _, message = await engine_ready()
            assert message.startswith("hung hangs since ")
            assert message.endswith("it is being replaced")
            await kubernetes._request("DELETE", POD.path(namespace, "hung"), body={"gracePeriodSeconds": 0})
            await eventually(told_no_more)
            await ready_pod(kubernetes, key, on_a_node("next", deployment), owner(made), address="10.0.0.7")
            await eventually(told)
            assert "it is replaced at" in (await engine_ready())[1], "another was, not long ago"
            await asked_again(orchestrator)
            for name in ("busy", "stranger", "next"):
                assert "deletionTimestamp" not in (await pod(name))["metadata"], name
        events = await kubernetes._request("GET", f"/api/v1/namespaces/{namespace}/events")
        (event,) = (each for each in events["items"] if each["reason"] == "EngineHung")
        assert (event["type"], event["involvedObject"]["kind"]) == ("Warning", "LLMService")
        assert event["message"].startswith("hung hangs since ")


async def test_a_pod_of_the_same_name_is_not_taken_for_the_one_that_hung(
    kubernetes: Kubernetes, namespace: str
) -> None:
    key = Key(namespace, "demo")
    await kubernetes.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}}
    )
    spec = {"containers": [{"name": "engine", "image": "nowhere/image"}], "automountServiceAccountToken": False}
    await ready_pod(kubernetes, key, {"metadata": {"name": "same"}, "spec": spec}, address="10.0.0.7")
    found = await kubernetes.get(POD, namespace, "same")
    assert found
    former = {"kind": "Pod", "metadata": {**found["metadata"], "uid": "00000000-0000-4000-8000-000000000000"}}
    await kubernetes.delete(former, 10)
    assert await kubernetes.get(POD, namespace, "same")
    await kubernetes.delete({"kind": "Pod", **found}, 10)
    assert await kubernetes.get(POD, namespace, "same") is None
