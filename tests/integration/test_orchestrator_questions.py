"""Whom the operator asks: nobody but the pods of a service's own Deployment, whatever a pod says of itself."""

from pathlib import Path

from tandem_operator.kube.resources import Object
from tandem_operator.kube.store import Key

from hack.cluster.control_plane import ControlPlane
from tests.integration.cluster import Kubernetes, by_kind
from tests.integration.conftest import running_operator
from tests.integration.pods import PodServer, listening_at, made_by_its_deployment, named, owner, ready_pod
from tests.integration.test_running import asked_again, complete
from tests.sockets.tools.service import Says, Service


def probing(pod: Object, path: str, port: int) -> Object:
    """The same pod with another readiness probe and another port for metrics."""
    container = pod["spec"]["containers"][0]
    container["readinessProbe"]["httpGet"]["path"] = path
    container["ports"][-1]["containerPort"] = port
    return pod


async def test_a_pod_does_not_choose_what_the_operator_requests(
    kubernetes: Kubernetes, control_plane: ControlPlane, tmp_path: Path
) -> None:
    namespace = await kubernetes.namespace("asked")
    key = Key(namespace, "demo")
    stolen = Says({"status": "ready", "degraded": ["what the operator alone can reach"]})

    with running_operator(control_plane, tmp_path / "log", namespace, "--resync-seconds=0.5"):
        async with PodServer() as orchestrator, Service() as inner, PodServer() as elsewhere:
            inner.says = elsewhere.says = dict.fromkeys(("/ready", "/steal"), stolen)
            orchestrator.says["/ready"] = Says({"status": "ready", "degraded": ["a \u001b[2Jreal\u202e line"]})
            await kubernetes.serve(namespace, orchestrator=listening_at(orchestrator.port))
            await complete(kubernetes, key)
            deployment = await kubernetes.get(by_kind("Deployment"), namespace, "demo-orchestrator")
            assert deployment
            forged = {**owner(deployment), "kind": "ReplicaSet", "name": "nowhere"}
            steal = f"@127.0.0.1:{inner.port}/steal"
            await ready_pod(kubernetes, key, probing(named("by-path", deployment), steal, 80))
            await ready_pod(kubernetes, key, probing(named("by-port", deployment), "/steal", elsewhere.port))
            await ready_pod(kubernetes, key, probing(named("by-owner", deployment), steal, 80), owner(deployment))
            await ready_pod(kubernetes, key, probing(named("by-forged-owner", deployment), steal, 80), forged)
            await ready_pod(kubernetes, key, named("at-loopback", deployment), address="127.0.0.1")
            await made_by_its_deployment(kubernetes, key)
            await asked_again(orchestrator)
            message = (await kubernetes.conditions(key))["Degraded"]["message"]
            assert message == "a [2Jreal line"
            assert inner.asked == elsewhere.asked == []
            assert {(asked.method, asked.path) for asked in orchestrator.asked} == {("GET", "/ready")}
            assert ["engine"] in [asked.query.get("tool_calling") for asked in orchestrator.asked]
            sent = {name for asked in orchestrator.asked for name in asked.headers}
            assert sent.isdisjoint({"authorization", "cookie"})
