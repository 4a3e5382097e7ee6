"""The operator as a process: what its watches notice, and what it does when it comes and goes."""

from pathlib import Path

import aiohttp
from tandem_operator.kube.resources import LLM_SERVICE
from tandem_operator.kube.store import Key

from hack.cluster.control_plane import ControlPlane
from tests.integration.cluster import Kubernetes, by_kind, eventually
from tests.integration.conftest import running_operator
from tests.integration.pods import PodServer, listening_at, made_by_its_deployment
from tests.integration.test_reconcile import CHILDREN_OF_MINIMAL, owned, service_monitors
from tests.sockets.tools.service import Says, Service


async def complete(kubernetes: Kubernetes, key: Key) -> None:
    async def all_there() -> bool:
        return owned(await kubernetes.objects(key)).keys() >= CHILDREN_OF_MINIMAL

    await eventually(all_there)


async def reported(kubernetes: Kubernetes, key: Key) -> None:
    async def has_conditions() -> bool:
        return bool(await kubernetes.conditions(key))

    await eventually(has_conditions)


async def test_a_service_is_built_and_reported(kubernetes: Kubernetes, live_namespace: str) -> None:
    key = await kubernetes.serve(live_namespace)
    await complete(kubernetes, key)
    await reported(kubernetes, key)
    service = await kubernetes.get(LLM_SERVICE, *key)
    assert service
    assert service["status"]["url"] == f"http://demo.{live_namespace}.svc"
    assert service["status"]["model"] == "org/model"
    assert service["status"]["observedGeneration"] == service["metadata"]["generation"]
    assert "finalizers" not in service["metadata"]

    async def told() -> bool:
        events = await kubernetes._request("GET", f"/api/v1/namespaces/{live_namespace}/events")
        return {"RolloutPending"} <= {event["reason"] for event in events["items"]}

    await eventually(told)


async def test_a_deleted_or_edited_child_is_repaired(kubernetes: Kubernetes, live_namespace: str) -> None:
    key = await kubernetes.serve(live_namespace)
    await complete(kubernetes, key)
    service = await kubernetes.get(by_kind("Service"), live_namespace, "demo")
    assert service
    await kubernetes.delete(service)

    async def is_back() -> bool:
        found = await kubernetes.get(by_kind("Service"), live_namespace, "demo")
        return found is not None and found["metadata"]["uid"] != service["metadata"]["uid"]

    await eventually(is_back)
    await kubernetes.edit(by_kind("Deployment"), key, "demo-engine", {"spec": {"replicas": 9}})

    async def is_one_again() -> bool:
        found = await kubernetes.get(by_kind("Deployment"), live_namespace, "demo-engine")
        return found is not None and found["spec"]["replicas"] == 1

    await eventually(is_one_again)


async def test_what_pods_say_reaches_the_status(kubernetes: Kubernetes, live_namespace: str) -> None:
    key = await kubernetes.serve(live_namespace)
    await complete(kubernetes, key)
    deployment = await kubernetes.get(by_kind("Deployment"), live_namespace, "demo-engine")
    assert deployment
    template = deployment["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "demo-engine-0", "namespace": live_namespace, "labels": template["metadata"]["labels"]},
        "spec": {"containers": [{"name": "engine", "image": "nowhere/image"}], "automountServiceAccountToken": False},
    }
    await kubernetes.create(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": live_namespace},
        }
    )
    await kubernetes.create(pod)
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "nowhere/image: not found"}}}
    status = {"name": "engine", "image": "nowhere/image", "imageID": "", "ready": False, "restartCount": 0, **waiting}
    await kubernetes.edit(by_kind("Pod"), key, "demo-engine-0", {"status": {"containerStatuses": [status]}}, "status")

    async def stalled() -> bool:
        return (await kubernetes.conditions(key)).get("Stalled", {}).get("status") == "True"

    await eventually(stalled)
    conditions = await kubernetes.conditions(key)
    assert {conditions[kind]["reason"] for kind in ("Ready", "Stalled", "EngineReady")} == {"ImagePullBackOff"}
    assert "nowhere/image: not found" in conditions["Ready"]["message"]


async def test_what_orchestrators_say_reaches_the_status_and_only_when_it_is_new(
    kubernetes: Kubernetes, control_plane: ControlPlane, tmp_path: Path
) -> None:
    namespace = await kubernetes.namespace("said")
    key = Key(namespace, "demo")
    problem = "tools of python dice: tools.python.0: the image does not have it"

    async def degraded() -> tuple[str, str]:
        found = (await kubernetes.conditions(key)).get("Degraded", {})
        return found.get("status", ""), found.get("message", "")

    async def version() -> str:
        service = await kubernetes.get(LLM_SERVICE, *key)
        assert service
        return str(service["metadata"]["resourceVersion"])

    async def is_unusable() -> bool:
        return await degraded() == ("True", problem)

    async def is_usable() -> bool:
        return (await degraded())[0] == "False"

    with running_operator(control_plane, tmp_path / "log", namespace, "--resync-seconds=0.5"):
        async with PodServer() as orchestrator:
            await kubernetes.serve(namespace, orchestrator=listening_at(orchestrator.port))
            await complete(kubernetes, key)
            orchestrator.says["/ready"] = Says({"status": "ready", "degraded": [problem]})
            await made_by_its_deployment(kubernetes, key)
            await eventually(is_unusable)
            before = await version()
            await asked_again(orchestrator)
            assert await version() == before, "nothing new, nothing written"
            orchestrator.says["/ready"] = Says({"status": "ready", "degraded": []})
            await eventually(is_usable)
            orchestrator.says["/ready"] = Says({"status": "ready", "degraded": [problem]})
            await eventually(is_unusable)
            orchestrator.says["/ready"] = Says({"status": "starting"}, 503)
            await asked_again(orchestrator)
            assert await is_unusable(), "what is not said changes nothing"
        events = await kubernetes._request("GET", f"/api/v1/namespaces/{namespace}/events")
        told = [(event["reason"], event["type"]) for event in events["items"] if "Degraded" in event["message"]]
        assert sorted(told) == [("PartsUnusable", "Warning")] * 2 + [("PartsUsable", "Normal")]


async def asked_again(orchestrator: Service) -> None:
    """Until it has been asked three times more, so that the answers before the last have been taken in."""
    seen = len(orchestrator.asked)

    async def so_often() -> bool:
        return len(orchestrator.asked) >= seen + 3

    await eventually(so_often)


async def test_an_optional_api_that_is_installed_later_is_picked_up(
    kubernetes: Kubernetes, live_namespace: str
) -> None:
    key = await kubernetes.serve(live_namespace)
    await complete(kubernetes, key)
    await kubernetes.define(service_monitors())

    async def monitored() -> bool:
        return ("ServiceMonitor", "demo-engine") in owned(await kubernetes.objects(key))

    await eventually(monitored)


async def test_a_restarted_operator_writes_nothing_and_works_on(
    kubernetes: Kubernetes, control_plane: ControlPlane, tmp_path: Path
) -> None:
    namespace = await kubernetes.namespace("restart")
    key = await kubernetes.serve(namespace)
    with running_operator(control_plane, tmp_path / "first", namespace):
        await complete(kubernetes, key)
        await reported(kubernetes, key)
    before = {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in await kubernetes.objects(key)}
    with running_operator(control_plane, tmp_path / "second", namespace) as second:

        async def looked() -> bool:
            try:
                async with aiohttp.request("GET", f"http://127.0.0.1:{second.port}/metrics") as answer:
                    return 'tandem_operator_reconciles_total{result="ok"}' in await answer.text()
            except aiohttp.ClientError:
                return False

        await eventually(looked)
        objects = await kubernetes.objects(key)
        assert {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in objects} == before
        other = await kubernetes.serve(namespace, "other")

        async def built() -> bool:
            return len(owned(await kubernetes.objects(other))) >= len(CHILDREN_OF_MINIMAL)

        await eventually(built)


async def test_a_standby_takes_over_when_the_leader_goes(
    kubernetes: Kubernetes, control_plane: ControlPlane, tmp_path: Path
) -> None:
    namespace = await kubernetes.namespace("leaders")
    elect = ("--leader-elect", f"--lease-namespace={namespace}")
    leader, standby = (
        running_operator(control_plane, tmp_path / name, namespace, *elect) for name in ("leader", "standby")
    )
    leader.environment["POD_NAME"], standby.environment["POD_NAME"] = "leader", "standby"
    with leader:
        key = await kubernetes.serve(namespace)
        await complete(kubernetes, key)
        with standby:

            async def healthy() -> bool:
                try:
                    async with aiohttp.request("GET", f"http://127.0.0.1:{standby.port}/healthz") as answer:
                        return answer.status == 200
                except aiohttp.ClientError:
                    return False

            await eventually(healthy)
            leader.__exit__()
            second = await kubernetes.serve(namespace, "second")

            async def built() -> bool:
                return len(owned(await kubernetes.objects(second))) >= len(CHILDREN_OF_MINIMAL)

            await eventually(built)
