"""Jobs that help engines, as Kubernetes' controllers and kubelets would run them."""

import json
from typing import Any

from tandem_operator.kube.resources import JOB, POD, Object
from tandem_operator.kube.store import Key

from tests.integration.cluster import Kubernetes, by_kind
from tests.integration.pods import owner

LONG_AGO, NEVER_ENDING = "2026-11-21T12:00:00Z", "2999-11-21T12:00:00Z"
_BEFORE = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}


async def jobs(kubernetes: Kubernetes, key: Key) -> list[str]:
    """The names of a service's Jobs."""
    return [item["metadata"]["name"] for item in await kubernetes.objects(key) if item["kind"] == JOB.kind]


async def the_job(kubernetes: Kubernetes, key: Key, what: str) -> Object:
    """The one Job that does this; Jobs have the engine's name and this word in theirs."""
    (name,) = [each for each in await jobs(kubernetes, key) if f"-{what}-" in each]
    found = await kubernetes.get(JOB, key.namespace, name)
    assert found
    return {**found, "apiVersion": JOB.api_version, "kind": JOB.kind}


async def pod_ends(kubernetes: Kubernetes, key: Key, job: Object, said: Any, code: int = 0) -> str:
    """A pod of the Job runs to its end, and says this; its name."""
    if not await kubernetes.get(by_kind("ServiceAccount"), key.namespace, "default"):
        account = {"name": "default", "namespace": key.namespace}
        await kubernetes.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
    template, name = job["spec"]["template"], f"{job['metadata']['name']}-{len(await kubernetes.objects(key))}"
    metadata: Object = {
        **template["metadata"],
        "name": name,
        "namespace": key.namespace,
        "ownerReferences": [owner(job)],
    }
    await kubernetes.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    message = said if isinstance(said, str) else json.dumps(said)
    end = {"exitCode": code, "message": message, "startedAt": LONG_AGO, "finishedAt": LONG_AGO}
    (container,) = template["spec"]["containers"]
    status = {"name": container["name"], "image": "x", "imageID": "", "ready": False, "restartCount": 0}
    ended = {"containerStatuses": [{**status, "state": {"terminated": end}}]}
    phase = "Failed" if code else "Succeeded"
    await kubernetes.edit(POD, key, name, {"status": {"phase": phase, **ended}}, "status")
    return name


async def job_ends(kubernetes: Kubernetes, key: Key, job: Object, how: str, at: str = NEVER_ENDING) -> None:
    """The Job is Complete or Failed."""
    told = [
        {"type": kind, "status": "True", "message": "over", "lastTransitionTime": at} for kind in (_BEFORE[how], how)
    ]
    done = {"completionTime": LONG_AGO, "succeeded": 1} if how == "Complete" else {}
    status = {"startTime": LONG_AGO, "conditions": told, **done}
    await kubernetes.edit(JOB, key, job["metadata"]["name"], {"status": status}, "status")


async def delete(kubernetes: Kubernetes, key: Key, kind: Any, name: str) -> None:
    """Delete an object at once, as `kubectl delete --force` would."""
    body = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
    await kubernetes._request("DELETE", kind.path(key.namespace, name), body=body)
