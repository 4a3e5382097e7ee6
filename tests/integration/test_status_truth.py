"""A status is true or says that it is not known: hostile text, leftovers, sidecars, secrets, and other versions."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tandem_operator.api.schema import crd
from tandem_operator.kube import metrics
from tandem_operator.kube.api import ApiError
from tandem_operator.kube.difference import MANAGER
from tandem_operator.kube.resources import LLM_SERVICE, POD, Object
from tandem_operator.kube.store import Key
from tandem_operator.manifests import Images
from tandem_operator.reconcile import Cluster, ReportedError, reconcile, report_failure
from tandem_operator.workqueue import RetryError

from hack.cluster.control_plane import ControlPlane
from tests.integration.cluster import Kubernetes, by_kind, eventually
from tests.integration.conftest import running_operator

ADMISSION = "admissionregistration.k8s.io/v1"
READY_ENGINE: Object = {"name": "engine", "ready": True, "state": {"running": {"startedAt": "2026-11-21T12:00:00Z"}}}


def container(name: str, **changes: Any) -> Object:
    return {"name": name, "image": "x", "imageID": "", "ready": False, "restartCount": 0, **changes}


def crashed(message: str = "", **changes: Any) -> Object:
    end = {"exitCode": 1, "message": message, "finishedAt": "2026-11-21T12:00:00Z"}
    return {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": end}, **changes}


async def serving(kubernetes: Kubernetes, namespace: str, name: str = "demo") -> Key:
    """A service as it is once a cluster runs it."""
    key = await kubernetes.serve(namespace, name)
    await kubernetes.reconcile(key)
    await scale(kubernetes, key, "engine", 1)
    await scale(kubernetes, key, "orchestrator", 2)
    await pod(kubernetes, key, f"{name}-engine-0", containerStatuses=[container(**READY_ENGINE)])
    await kubernetes.reconcile(key)
    assert await ready(kubernetes, key) == ("True", "Serving")
    return key


async def scale(kubernetes: Kubernetes, key: Key, tier: str, ready: int, **changes: Any) -> None:
    name = f"{key.name}-{tier}"
    live = await kubernetes.get(by_kind("Deployment"), key.namespace, name)
    assert live
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), ready)
    status = {"observedGeneration": live["metadata"]["generation"], **counts, **changes}
    await kubernetes.edit(by_kind("Deployment"), key, name, {"status": status}, "status")


async def pod(kubernetes: Kubernetes, key: Key, name: str, **status: Any) -> None:
    """A pod of the engine, as its kubelet reports it."""
    labels = {"tandem.dev/llmservice": key.name, "tandem.dev/tier": "engine"}
    spec = {"containers": [{"name": "engine", "image": "x"}], "serviceAccountName": f"{key.name}-engine"}
    metadata = {"name": name, "namespace": key.namespace, "labels": labels}
    await kubernetes.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    await kubernetes.edit(POD, key, name, {"status": status}, "status")


async def ready(kubernetes: Kubernetes, key: Key) -> tuple[str, str]:
    found = (await kubernetes.conditions(key))["Ready"]
    return found["status"], found["reason"]


HOSTILE = {
    "dots": ("OutOfnvidia.com/gpu", "OutOfnvidia_com_gpu", "Node didn't have enough resource"),
    "slash": ("admission.example.com/Denied", "admission_example_com_Denied", "🙈" * 33_000),
    "digits": ("4 of 5: é", "of_5", f"over {'ü' * 40_000}"),
    "no letter": ("…", "Unspecified", "line\nend \u202e \x1b[31mred \x00 \x85 \u2028 \ufffe 🙈"),
    "long": ("r" * 2000, "r" * 1024, "x" * 33_000),
    "silence": ("Evicted", "Evicted", ""),
}


@pytest.mark.parametrize(("reason", "shown", "message"), HOSTILE.values(), ids=HOSTILE.keys())
async def test_foreign_text_is_made_to_fit(
    kubernetes: Kubernetes, namespace: str, reason: str, shown: str, message: str
) -> None:
    refused = await serving(kubernetes, namespace, "refused")
    failure = {"type": "ReplicaFailure", "status": "True", "reason": reason, "message": message}
    await scale(kubernetes, refused, "engine", 0, conditions=[failure])
    rejected = await serving(kubernetes, namespace, "rejected")
    await kubernetes.edit(POD, rejected, "rejected-engine-0", {"metadata": {"labels": {"tandem.dev/tier": "gone"}}})
    await scale(kubernetes, rejected, "engine", 0)
    await pod(kubernetes, rejected, "rejected-engine-1", phase="Failed", reason=reason, message=message)
    for key in (refused, rejected):
        await kubernetes.reconcile(key)
        assert await ready(kubernetes, key) == ("False", shown)
        text = (await kubernetes.conditions(key))["Ready"]["message"]
        assert text.isprintable()
        assert await kubernetes.reconcile(key) == [], "what is stored is what was written"
        events = await kubernetes._request("GET", f"/api/v1/namespaces/{namespace}/events")
        told = [event for event in events["items"] if event["involvedObject"]["name"] == key.name]
        assert any(event["message"].startswith("Ready: ") and event["reason"] == shown[:128] for event in told)


LEFTOVERS = {
    "evicted": {"phase": "Failed", "reason": "Evicted", "message": "low on disk"},
    "rejected": {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "Allocate failed"},
    "node shut down": {"phase": "Failed", "reason": "Terminated", "message": "node shutdown"},
    "done": {"phase": "Succeeded"},
    "killed": {
        "phase": "Failed",
        "reason": "Evicted",
        "containerStatuses": [container("engine", restartCount=4, state={"terminated": {"exitCode": 137}})],
    },
}


@pytest.mark.parametrize("left", LEFTOVERS.values(), ids=LEFTOVERS.keys())
async def test_pods_that_are_over_are_not_held_against_a_service_that_serves(
    kubernetes: Kubernetes, namespace: str, left: Object
) -> None:
    key = await serving(kubernetes, namespace)
    await pod(kubernetes, key, "demo-engine-1", **left)
    assert await kubernetes.reconcile(key) == []
    await kubernetes.edit(POD, key, "demo-engine-0", {"metadata": {"labels": {"tandem.dev/tier": "gone"}}})
    await scale(kubernetes, key, "engine", 1, readyReplicas=0, availableReplicas=0)
    await kubernetes.reconcile(key)
    conditions = await kubernetes.conditions(key)
    assert conditions["EngineReady"]["reason"] == left.get("reason", "PodSucceeded"), "it tells why there is none"
    assert conditions["ModelReady"]["status"] == "False"
    await asyncio.sleep(1.1)  # times of creation have seconds
    running: Object = {**READY_ENGINE, "ready": False}
    await pod(kubernetes, key, "demo-engine-2", phase="Running", containerStatuses=[container(**running)])
    await kubernetes.reconcile(key)
    conditions = await kubernetes.conditions(key)
    assert conditions["EngineReady"]["reason"] == "Starting"
    assert conditions["ModelReady"]["reason"] == "Loading"


async def test_a_sidecar_is_not_the_engine(kubernetes: Kubernetes, namespace: str) -> None:
    key = await serving(kubernetes, namespace)
    await scale(kubernetes, key, "engine", 1, readyReplicas=0, availableReplicas=0)
    loading = container("engine", state=READY_ENGINE["state"])
    proxy = container("istio-proxy", ready=True, state=READY_ENGINE["state"])
    statuses = {"containerStatuses": [loading, proxy]}
    await kubernetes.edit(POD, key, "demo-engine-0", {"status": statuses}, "status")
    await kubernetes.reconcile(key)
    assert (await kubernetes.conditions(key))["ModelReady"]["reason"] == "Loading"
    once = {"lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:00:00Z"}}, "restartCount": 1}
    looping = container("istio-proxy", **crashed("cannot reach istiod", restartCount=5))
    statuses = {"containerStatuses": [container(**{**READY_ENGINE, **once}), looping]}
    await kubernetes.edit(POD, key, "demo-engine-0", {"status": statuses}, "status")
    await kubernetes.reconcile(key)
    conditions = await kubernetes.conditions(key)
    assert conditions["ModelReady"]["status"] == "True"
    assert conditions["Ready"]["reason"] == "CrashLoopBackOff"
    assert "container istio-proxy ended 6x, exit code 1: cannot reach istiod" in conditions["Ready"]["message"]


INIT_CONTAINERS = {
    "crashes": (crashed("iptables: no permission", restartCount=3), "CrashLoopBackOff", "ended 4x"),
    "has no image": (
        {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "istio/proxyv2: not found"}}},
        "ImagePullBackOff",
        "istio/proxyv2: not found",
    ),
    "cannot be made": (
        {"state": {"waiting": {"reason": "CreateContainerConfigError", "message": 'configmap "mesh" not found'}}},
        "CreateContainerConfigError",
        'configmap "mesh" not found',
    ),
    "runs out of memory": (
        {"restartCount": 2, "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
        "CrashLoopBackOff",
        "ended 3x",
    ),
}


@pytest.mark.parametrize(("state", "reason", "says"), INIT_CONTAINERS.values(), ids=INIT_CONTAINERS.keys())
async def test_an_injected_init_container_is_named(
    kubernetes: Kubernetes, namespace: str, state: Object, reason: str, says: str
) -> None:
    key = await serving(kubernetes, namespace)
    await scale(kubernetes, key, "engine", 1, readyReplicas=0, availableReplicas=0)
    done = container("vault-init", ready=True, state={"terminated": {"exitCode": 0, "reason": "Completed"}})
    waits = container("engine", state={"waiting": {"reason": "PodInitializing"}})
    statuses = {"initContainerStatuses": [done, container("istio-init", **state)], "containerStatuses": [waits]}
    await kubernetes.edit(POD, key, "demo-engine-0", {"status": statuses}, "status")
    await kubernetes.reconcile(key)
    conditions = await kubernetes.conditions(key)
    assert conditions["Ready"]["reason"] == conditions["EngineReady"]["reason"] == reason
    assert "demo-engine-0: init container istio-init" in conditions["Ready"]["message"]
    assert says in conditions["Ready"]["message"]
    assert conditions["ModelReady"]["reason"] == "EngineNotRunning"
    statuses = {"initContainerStatuses": [done], "containerStatuses": [container(**READY_ENGINE)]}
    await kubernetes.edit(POD, key, "demo-engine-0", {"status": statuses}, "status")
    await scale(kubernetes, key, "engine", 1)
    await kubernetes.reconcile(key)
    assert await ready(kubernetes, key) == ("True", "Serving"), "one that has done its work is no trouble"


async def test_no_secret_of_a_log_gets_into_the_status_or_an_event(kubernetes: Kubernetes, namespace: str) -> None:
    key = await serving(kubernetes, namespace)
    said = "OperationalError: cannot connect to postgresql://admin:hunter2@db/x with token hf_AbCdEfGhIjKlMnOpQr"
    cut = f"unter2@db: no such host, {'x' * 2100}"
    for log in (said, cut):
        failed = {"containerStatuses": [container("engine", **crashed(log, restartCount=3))]}
        await kubernetes.edit(POD, key, "demo-engine-0", {"status": failed}, "status")
        await kubernetes.reconcile(key)
        shown = f"{await kubernetes.conditions(key)}"
        assert "exit code 1" in shown
        assert not any(secret in shown for secret in ("hunter2", "unter2", "hf_AbC"))
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": said}
    await scale(kubernetes, key, "engine", 0, conditions=[failure])
    await kubernetes.reconcile(key)
    events = await kubernetes._request("GET", f"/api/v1/namespaces/{namespace}/events")
    shown = f"{await kubernetes.conditions(key)} {events}"
    assert "cannot connect to postgresql://admin:***@db/x" in shown
    assert not any(secret in shown for secret in ("hunter2", "hf_AbC"))


async def test_a_failure_makes_ready_unknown_until_all_is_well_again(kubernetes: Kubernetes, namespace: str) -> None:
    key = await serving(kubernetes, namespace)
    before = await kubernetes.conditions(key)
    cluster = Cluster(kubernetes, Images())
    for item in await kubernetes.objects(key):
        cluster.store.put(item)
    error = RetryError("x" * 100_000 + " postgresql://admin:hunter2@db \x1b[31m\ud800")
    await report_failure(cluster, key, ReportedError("the status says it"))
    assert await ready(kubernetes, key) == ("True", "Serving")
    await report_failure(cluster, key, error)
    after = await kubernetes.conditions(key)
    assert (after["Ready"]["status"], after["Ready"]["reason"]) == ("Unknown", "ReconcileFailed")
    assert after["Reconciling"]["status"] == "True"
    assert after["Stalled"]["status"] == "False"
    assert "hunter2" not in f"{after}"
    assert {kind: after[kind] for kind in ("EngineReady", "ModelReady")} == {
        kind: before[kind] for kind in ("EngineReady", "ModelReady")
    }
    kubernetes.writes = []
    await report_failure(cluster, key, RetryError("another answer"))
    assert kubernetes.writes == [], "it is said already"
    await report_failure(cluster, key, KeyError("a bug"))
    assert await ready(kubernetes, key) == ("Unknown", "InternalError")
    await report_failure(Cluster(kubernetes, Images()), key, error)
    assert await ready(kubernetes, key) == ("Unknown", "ReconcileFailed"), "also of a service that is not known yet"
    await kubernetes.reconcile(key)
    assert await ready(kubernetes, key) == ("True", "Serving")


async def test_an_operator_that_fails_at_everything_says_so_within_two_minutes(
    kubernetes: Kubernetes, control_plane: ControlPlane, tmp_path: Path
) -> None:
    key = await serving(kubernetes, await kubernetes.namespace("failing"))

    async def is_unknown() -> bool:
        return await ready(kubernetes, key) == ("Unknown", "InternalError")

    async def serves() -> bool:
        return await ready(kubernetes, key) == ("True", "Serving")

    broken = running_operator(control_plane, tmp_path / "log", key.namespace)
    program = broken.command[2]
    broken.command[2] = f"from tandem_operator import manifests; manifests.build = None; {program}"
    with broken:
        await eventually(is_unknown, 120)
    assert "'NoneType' object is not callable" in (await kubernetes.conditions(key))["Ready"]["message"]
    with running_operator(control_plane, tmp_path / "log", key.namespace):
        await eventually(serves)


async def test_a_failure_that_cannot_be_reported_is_logged_and_counted(
    kubernetes: Kubernetes, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = await kubernetes.serve(namespace)
    await report_failure(Cluster(kubernetes, Images()), Key(namespace, "nobody"), RetryError("no"))
    kubernetes.writes, kubernetes.die_after = [], 1
    counted = metrics.UNREPORTED._value.get()
    await report_failure(Cluster(kubernetes, Images()), key, RetryError("no"))
    assert metrics.UNREPORTED._value.get() == counted + 1
    assert "could not be written into its status" in caplog.text


OF_A_NEWER_VERSION: Object = {
    "observedGeneration": 1,
    "url": 7,
    "gpus": "many",
    "tokensPerSecond": 9,
    "engine": {"replicas": 1, "readyReplicas": 1, "drained": 1},
    "conditions": [
        {"type": "Ready", "status": "Maybe", "reason": "Later", "message": "", "lastTransitionTime": "2026-01-01"},
        {"type": "Degraded", "status": "True", "severity": "low", "message": ""},
        {"type": "Throttled", "status": "Unknown", "lastTransitionTime": 5},
        {"type": "EngineReady", "status": None, "reason": None},
        {"status": "Unknown"},
        "Ready",
    ],
}


def permissive(definition: Object) -> Object:
    """The definition as some other version of it, which admits any status."""
    (version,) = definition["spec"]["versions"]
    version["schema"]["openAPIV3Schema"]["properties"]["status"] = {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
    }
    return definition


@pytest.mark.parametrize("valid", [True, False], ids=["valid spec", "invalid spec"])
async def test_the_status_of_another_version_is_replaced(kubernetes: Kubernetes, namespace: str, valid: bool) -> None:  # noqa: FBT001
    key = await kubernetes.serve(namespace)
    await kubernetes.define(permissive(crd()))
    try:
        service = await kubernetes.get(LLM_SERVICE, *key)
        assert service
        metadata = {name: service["metadata"][name] for name in ("name", "namespace", "uid")}
        newer = {"apiVersion": LLM_SERVICE.api_version, "kind": LLM_SERVICE.kind, "metadata": metadata}

        async def is_stored() -> bool:
            stored = await kubernetes.apply({**newer, "status": OF_A_NEWER_VERSION}, MANAGER, "status")
            return stored["status"] == OF_A_NEWER_VERSION

        await eventually(is_stored)
        cluster = Cluster(kubernetes, Images())
        for item in await kubernetes.objects(key):
            if not valid and item["kind"] == LLM_SERVICE.kind:
                item["spec"]["model"]["source"] = ""
            cluster.store.put(item)
        await report_failure(cluster, key, RetryError("no answer"))
        assert await ready(kubernetes, key) == ("Unknown", "ReconcileFailed")
        await kubernetes.apply({**newer, "status": OF_A_NEWER_VERSION}, MANAGER, "status")
        for item in await kubernetes.objects(key):
            if not valid and item["kind"] == LLM_SERVICE.kind:
                item["spec"]["model"]["source"] = ""
            cluster.store.put(item)
        await reconcile(cluster, key)
        assert await ready(kubernetes, key) == ("False", "RolloutPending" if valid else "InvalidSpec")
        found = await kubernetes.get(LLM_SERVICE, *key)
        assert found
        assert "tokensPerSecond" not in found["status"]
        assert "Throttled" not in await kubernetes.conditions(key)
    finally:
        await kubernetes.define(crd())


async def test_a_status_that_is_refused_says_so(kubernetes: Kubernetes, namespace: str) -> None:
    key = await serving(kubernetes, namespace)
    policy = {
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": [LLM_SERVICE.group],
                    "apiVersions": ["*"],
                    "operations": ["*"],
                    "resources": [f"{LLM_SERVICE.plural}/status"],
                }
            ]
        },
        "validations": [{"expression": "!has(object.status.url)", "message": "no address may be shown"}],
    }
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    binding = {"policyName": namespace, "validationActions": ["Deny"], "matchResources": here}
    for kind, spec in (("ValidatingAdmissionPolicy", policy), ("ValidatingAdmissionPolicyBinding", binding)):
        manifest = {"apiVersion": ADMISSION, "kind": kind, "metadata": {"name": namespace}, "spec": spec}
        plural = "validatingadmissionpolicybindings" if "Binding" in kind else "validatingadmissionpolicies"
        await kubernetes._request("POST", f"/apis/{ADMISSION}/{plural}", body=manifest)
    await scale(kubernetes, key, "engine", 0)

    async def is_refused() -> bool:
        try:
            await kubernetes.edit(LLM_SERVICE, key, "demo", {"status": {"model": "x"}}, "status")
        except ApiError as error:
            return error.status == 422
        return False

    await eventually(is_refused)
    for _ in range(2):
        with pytest.raises(ReportedError, match="no address may be shown"):
            await kubernetes.reconcile(key)
        conditions = await kubernetes.conditions(key)
        assert {name: conditions[name]["status"] for name in conditions} == {
            "Ready": "False",
            "Reconciling": "False",
            "Stalled": "True",
        }
        assert conditions["Ready"]["reason"] == "StatusRefused"
        assert "Ready is False (RollingOut)" in conditions["Ready"]["message"]
        assert "no address may be shown" in conditions["Ready"]["message"]
    service = await kubernetes.get(LLM_SERVICE, *key)
    with pytest.raises(ReportedError):
        await kubernetes.reconcile(key)
    assert service == await kubernetes.get(LLM_SERVICE, *key), "said once, it is not written at each attempt"
    await kubernetes._request("DELETE", f"/apis/{ADMISSION}/validatingadmissionpolicybindings/{namespace}")

    async def is_well_again() -> bool:
        try:
            await kubernetes.reconcile(key)
        except ReportedError:
            return False
        return True

    await eventually(is_well_again)
    assert await ready(kubernetes, key) == ("False", "RollingOut")


async def test_a_name_that_a_living_service_has_taken_is_told_with_its_owner(
    kubernetes: Kubernetes, live_namespace: str
) -> None:
    async def says(key: Key, stalled: str, words: str) -> bool:
        conditions = await kubernetes.conditions(key)
        if not conditions:
            return False
        message = conditions["OrchestratorReady"]["message"]
        return conditions["Stalled"]["status"] == stalled and words in message

    async def is_stalled() -> bool:
        return await says(second, "True", "Service a-engine exists and belongs to the LLMService a; rename one of them")

    async def waits() -> bool:
        return await says(second, "False", "waiting until Kubernetes has deleted it")

    async def is_well() -> bool:
        return await says(second, "False", "has not taken up its newest spec")

    async def is_there() -> bool:
        return await says(first, "False", "has not taken up its newest spec")

    first = await kubernetes.serve(live_namespace, "a")
    await eventually(is_there)
    second = await kubernetes.serve(live_namespace, "a-engine")
    await eventually(is_stalled)
    owner = await kubernetes.get(LLM_SERVICE, *first)
    assert owner
    await kubernetes.delete(owner)
    await eventually(waits, 150)
    taken = await kubernetes.get(by_kind("Service"), live_namespace, "a-engine")
    assert taken
    await kubernetes.delete(taken)  # as the garbage collector would
    await eventually(is_well, 150)
