"""State on a real API server: a roll-out that waits for its migration, and a claim that outlives what asked for it."""

from typing import Any

import pytest
from tandem_operator.api.component import INGESTION_QUEUED_API
from tandem_operator.kube.api import ApiError
from tandem_operator.kube.resources import CLAIM, EVENT, JOB, LLM_SERVICE, POD, SECRET, Object
from tandem_operator.kube.store import Key

from tests.integration.cluster import Kubernetes, by_kind, eventually
from tests.integration.test_status_truth import container, ready, scale

DEPLOYMENT = by_kind("Deployment")
ORCHESTRATOR, INGESTION = "demo-orchestrator", "demo-ingestion"
URL = "postgresql://tandem:hush@db/tandem"
POSTGRES: Object = {"state": {"postgres": {"urlFrom": {"secretName": "state-app", "secretKey": "uri"}}}}
SQLITE: Object = {"replicas": {"min": 1, "max": 1}, "state": {"sqlite": {"size": "1Gi"}}}
LONG_AGO, NEVER_ENDING = "2026-11-21T12:00:00Z", "2999-11-21T12:00:00Z"


async def put_secret(kubernetes: Kubernetes, namespace: str) -> None:
    metadata = {"name": "state-app", "namespace": namespace}
    await kubernetes.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"uri": URL}})


async def jobs(kubernetes: Kubernetes, key: Key) -> list[Object]:
    return [item for item in await kubernetes.objects(key) if item["kind"] == JOB.kind]


async def the_job(kubernetes: Kubernetes, key: Key) -> Object:
    (job,) = await jobs(kubernetes, key)
    return job


async def ends(kubernetes: Kubernetes, key: Key, how: str, at: str = NEVER_ENDING) -> Object:
    """Say of the Job what Kubernetes' controller would."""
    job = await the_job(kubernetes, key)
    before = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}[how]
    told = [{"type": kind, "status": "True", "message": "over", "lastTransitionTime": at} for kind in (before, how)]
    done = {"completionTime": LONG_AGO, "succeeded": 1} if how == "Complete" else {}
    status = {"startTime": LONG_AGO, "conditions": told, **done}
    await kubernetes.edit(JOB, key, job["metadata"]["name"], {"status": status}, "status")
    return job


async def image(kubernetes: Kubernetes, key: Key) -> str | None:
    """The image that the orchestrator's Deployment has; None while there is no Deployment."""
    found = await kubernetes.get(DEPLOYMENT, key.namespace, ORCHESTRATOR)
    return found["spec"]["template"]["spec"]["containers"][0]["image"] if found else None


async def stores(kubernetes: Kubernetes, key: Key) -> tuple[str, str]:
    found = (await kubernetes.conditions(key))["StoresReady"]
    return found["reason"], found["message"]


async def rolled_out(kubernetes: Kubernetes, namespace: str) -> Key:
    """A service whose database is migrated, at image one:1."""
    await put_secret(kubernetes, namespace)
    key = await kubernetes.serve(namespace, orchestrator={**POSTGRES, "image": "one:1"})
    await kubernetes.reconcile(key)
    await ends(kubernetes, key, "Complete")
    await kubernetes.reconcile(key)
    assert await image(kubernetes, key) == "one:1"
    return key


async def change_image(kubernetes: Kubernetes, key: Key, to: str, **spec: Any) -> None:
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"orchestrator": {"image": to}, **spec}})


async def test_the_first_orchestrators_wait_for_the_secret_and_the_job(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace, orchestrator=POSTGRES)
    await kubernetes.reconcile(key)
    assert (await jobs(kubernetes, key), await image(kubernetes, key)) == ([], None)
    reason, message = await stores(kubernetes, key)
    assert reason == (await kubernetes.conditions(key))["OrchestratorReady"]["reason"] == "SecretMissing"
    assert (await ready(kubernetes, key))[0] == "False"
    assert "Secret state-app, which spec.orchestrator.state names, does not exist" in message
    await put_secret(kubernetes, namespace)
    await kubernetes.reconcile(key)
    assert (await stores(kubernetes, key))[0] == "Migrating"
    assert await image(kubernetes, key) is None
    assert await kubernetes.get(DEPLOYMENT, namespace, "demo-engine"), "the engine waits for nothing"
    assert await kubernetes.reconcile(key) == [], "one Job is enough"
    job = await ends(kubernetes, key, "Complete")
    await kubernetes.reconcile(key)
    assert await image(kubernetes, key) == job["spec"]["template"]["spec"]["containers"][0]["image"]
    assert (await stores(kubernetes, key))[0] == "NotHeard"
    assert await kubernetes.reconcile(key) == []


async def test_a_roll_out_is_held_back_until_the_job_has_succeeded(kubernetes: Kubernetes, namespace: str) -> None:
    key = await rolled_out(kubernetes, namespace)
    before = await the_job(kubernetes, key)
    await scale(kubernetes, key, "orchestrator", 2)
    await change_image(kubernetes, key, "two:2")
    await kubernetes.reconcile(key)
    job = await the_job(kubernetes, key)
    assert job["metadata"]["name"] != before["metadata"]["name"], "the one before is gone"
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == "two:2"
    assert await image(kubernetes, key) == "one:1"
    assert (await ready(kubernetes, key))[0] == "False"
    assert (await stores(kubernetes, key))[0] == "Migrating"
    assert await kubernetes.reconcile(key) == []
    await ends(kubernetes, key, "Complete")
    await kubernetes.reconcile(key)
    assert await image(kubernetes, key) == "two:2"


async def test_pods_that_read_documents_wait_for_the_job_too_and_are_scaled_by_the_queue(
    kubernetes: Kubernetes, namespace: str
) -> None:
    await put_secret(kubernetes, namespace)
    workers = {"replicas": {"min": 1, "max": 3}}
    files = {"files": {"claimName": "shared"}, "retrieval": {"workers": workers}}
    key = await kubernetes.serve(namespace, orchestrator={**POSTGRES, **files})
    await kubernetes.reconcile(key)
    assert await kubernetes.get(DEPLOYMENT, namespace, INGESTION) is None
    assert (await kubernetes.conditions(key))["Degraded"]["reason"] == "DocumentsUnread"
    await ends(kubernetes, key, "Complete")
    queue = frozenset({INGESTION_QUEUED_API})
    await kubernetes.reconcile(key, queue)
    assert await kubernetes.get(DEPLOYMENT, namespace, INGESTION)
    scaler = await kubernetes.get(by_kind("HorizontalPodAutoscaler"), namespace, INGESTION)
    assert scaler
    assert [metric["type"] for metric in scaler["spec"]["metrics"]] == ["External", "Resource"]
    assert await kubernetes.reconcile(key, queue) == []
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"orchestrator": {"retrieval": {"workers": None}}}})
    await kubernetes.reconcile(key, queue)
    assert await kubernetes.get(DEPLOYMENT, namespace, INGESTION) is None


async def test_a_job_that_failed_leaves_what_runs_and_says_why(kubernetes: Kubernetes, namespace: str) -> None:
    key = await rolled_out(kubernetes, namespace)
    await change_image(kubernetes, key, "two:2")
    await kubernetes.reconcile(key)
    failed = await ends(kubernetes, key, "Failed")
    template = failed["spec"]["template"]
    labels = {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": failed["metadata"]["name"]}
    metadata = {"name": "of-job", "namespace": namespace, "labels": labels}
    await kubernetes.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    end = {"exitCode": 1, "message": f"Traceback\ncannot reach {URL}", "finishedAt": LONG_AGO}
    status = {"phase": "Failed", "containerStatuses": [container("migration", state={"terminated": end})]}
    await kubernetes.edit(POD, key, "of-job", {"status": status}, "status")
    await kubernetes.reconcile(key)
    reason, message = await stores(kubernetes, key)
    assert reason == "MigrationFailed"
    assert "cannot reach postgresql://tandem:***@db/tandem" in message
    assert (await kubernetes.conditions(key))["OrchestratorReady"]["reason"] == "MigrationFailed"
    assert (await ready(kubernetes, key))[0] == "False"
    assert await image(kubernetes, key) == "one:1"
    assert await kubernetes.reconcile(key) == [], "it rests"
    assert [job["metadata"]["uid"] for job in await jobs(kubernetes, key)] == [failed["metadata"]["uid"]]


async def test_a_job_that_failed_is_made_again(kubernetes: Kubernetes, namespace: str) -> None:
    async def attempt() -> tuple[str, str]:
        await kubernetes.reconcile(key)
        found = (await the_job(kubernetes, key))["metadata"]
        return found["uid"], found["annotations"]["tandem.dev/attempt"]

    await put_secret(kubernetes, namespace)
    key = await kubernetes.serve(namespace, orchestrator=POSTGRES)
    first, _ = await attempt()
    await ends(kubernetes, key, "Failed", LONG_AGO)
    second, number = await attempt()
    assert (second != first, number) == (True, "1")
    await ends(kubernetes, key, "Failed")
    assert await attempt() == (second, "1"), "it rests"
    await kubernetes.edit(SECRET, key, "state-app", {"stringData": {"uri": f"{URL}2"}})
    third, number = await attempt()
    assert (third != second, number) == (True, "0")
    assert await image(kubernetes, key) is None
    await ends(kubernetes, key, "Complete")
    await kubernetes.reconcile(key)
    assert await image(kubernetes, key)


async def test_a_finished_job_that_is_cleaned_up_is_not_missed(kubernetes: Kubernetes, namespace: str) -> None:
    key = await rolled_out(kubernetes, namespace)
    await kubernetes.delete(await the_job(kubernetes, key))
    assert await kubernetes.reconcile(key) == []
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"orchestrator": {"replicas": {"min": 3}}}})
    await kubernetes.reconcile(key)
    assert await jobs(kubernetes, key) == []


async def test_what_is_suspended_goes_to_rest_at_once_and_waits_when_it_comes_back(
    kubernetes: Kubernetes, namespace: str
) -> None:
    async def replicas() -> int:
        found = await kubernetes.get(DEPLOYMENT, namespace, ORCHESTRATOR)
        assert found
        return int(found["spec"]["replicas"])

    key = await rolled_out(kubernetes, namespace)
    await change_image(kubernetes, key, "two:2", suspend=True)
    await kubernetes.reconcile(key)
    assert (await replicas(), await jobs(kubernetes, key)) == (0, [])
    assert await ready(kubernetes, key) == ("False", "Suspended")
    assert await kubernetes.reconcile(key) == []
    await change_image(kubernetes, key, "two:2", suspend=False)
    await kubernetes.reconcile(key)
    assert await replicas() == 0, "two:2 has not migrated"
    await ends(kubernetes, key, "Complete")
    await kubernetes.reconcile(key)
    assert await replicas() == 2


async def test_a_running_operator_notices_the_end_of_a_job(kubernetes: Kubernetes, live_namespace: str) -> None:
    await put_secret(kubernetes, live_namespace)
    key = await kubernetes.serve(live_namespace, orchestrator=POSTGRES)

    async def is_made() -> bool:
        return bool(await jobs(kubernetes, key))

    async def is_rolled_out() -> bool:
        return bool(await image(kubernetes, key))

    await eventually(is_made)
    assert not await is_rolled_out()
    await ends(kubernetes, key, "Complete")
    await eventually(is_rolled_out)


async def test_a_claim_tells_what_it_waits_for_and_is_left_alone_once_bound(
    kubernetes: Kubernetes, namespace: str
) -> None:
    key = await kubernetes.serve(namespace, orchestrator=SQLITE)
    await kubernetes.reconcile(key)
    assert await image(kubernetes, key), "nothing but its pod can make some volumes"
    claim = await kubernetes.get(CLAIM, namespace, ORCHESTRATOR)
    assert claim
    assert (await stores(kubernetes, key))[0] == "ClaimPending"
    involved = {"kind": CLAIM.kind, **{name: claim["metadata"][name] for name in ("name", "namespace", "uid")}}
    for name, moment, message in (
        ("b", "2026-11-21T12:00:00Z", "no class x"),
        ("a", LONG_AGO[:-9] + "11:00:00Z", "old"),
    ):
        await kubernetes.create(
            {
                "apiVersion": "v1",
                "kind": EVENT.kind,
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": involved,
                "reason": "ProvisioningFailed",
                "message": message,
                "lastTimestamp": moment,
            }
        )
    await kubernetes.reconcile(key)
    assert "is not bound: ProvisioningFailed: no class x" in (await stores(kubernetes, key))[1]
    await kubernetes.edit(CLAIM, key, ORCHESTRATOR, {"spec": {"volumeName": "pv", "storageClassName": "fast"}})
    bound = {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    await kubernetes.edit(CLAIM, key, ORCHESTRATOR, {"status": bound}, "status")
    await kubernetes.reconcile(key)
    assert (await stores(kubernetes, key))[0] == "NotHeard"
    assert await kubernetes.reconcile(key) == []


async def test_a_claim_stays_when_the_spec_no_longer_names_it(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace, orchestrator=SQLITE)
    await kubernetes.reconcile(key)
    before = await kubernetes.get(CLAIM, namespace, ORCHESTRATOR)
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"orchestrator": {"state": None}}})
    await kubernetes.reconcile(key)
    deployment = await kubernetes.get(DEPLOYMENT, namespace, ORCHESTRATOR)
    assert deployment
    assert deployment["spec"]["strategy"]["type"] == "RollingUpdate"
    assert "/var/lib/tandem" not in str(deployment["spec"])
    assert await kubernetes.get(CLAIM, namespace, ORCHESTRATOR) == before
    assert before
    assert before["metadata"]["ownerReferences"][0]["name"] == key.name, "it goes with its service"
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"orchestrator": SQLITE}})
    await kubernetes.reconcile(key)
    deployment = await kubernetes.get(DEPLOYMENT, namespace, ORCHESTRATOR)
    assert deployment
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": "512Mi"}, "size may only grow"),
        ({"storageClassName": "fast"}, "storageClassName must stay as it is"),
        ({"accessModes": ["ReadWriteOnce"]}, "accessModes must stay as they are"),
        ({"accessModes": None}, "accessModes must stay as they are"),
    ],
)
async def test_what_no_volume_of_files_can_do_is_refused(
    kubernetes: Kubernetes, namespace: str, change: Object, says: str
) -> None:
    def claim(asked: Object) -> Object:
        return {"spec": {"orchestrator": {"files": {"claim": asked}}}}

    asked = {"size": "1Gi", "accessModes": ["ReadWriteMany"]}
    key = await kubernetes.serve(namespace, orchestrator={**SQLITE, "files": {"claim": asked}})
    with pytest.raises(ApiError, match=says):
        await kubernetes.edit(LLM_SERVICE, key, key.name, claim(change))
    await kubernetes.edit(LLM_SERVICE, key, key.name, claim({"size": "2Gi"}))
    await kubernetes.reconcile(key)
    live = await kubernetes.get(CLAIM, namespace, f"{key.name}-files")
    assert live
    assert live["spec"]["accessModes"] == ["ReadWriteMany"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": "512Mi"}, "size may only grow"),
        ({"size": "0.5Gi"}, "size may only grow"),
        ({"storageClassName": "fast"}, "storageClassName must stay as it is"),
    ],
)
async def test_what_no_volume_can_do_is_refused(
    kubernetes: Kubernetes, namespace: str, change: Object, says: str
) -> None:
    key = await kubernetes.serve(namespace, orchestrator=SQLITE)
    with pytest.raises(ApiError, match=says):
        await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"orchestrator": {"state": {"sqlite": change}}}})
    await kubernetes.edit(
        LLM_SERVICE, key, key.name, {"spec": {"orchestrator": {"state": {"sqlite": {"size": "2Gi"}}}}}
    )
