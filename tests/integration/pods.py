"""Pods of orchestrators, as a cluster with nodes would have them: their controllers and addresses are real enough."""

import copy
import socket
from typing import Any

from tandem_operator.kube.resources import Object
from tandem_operator.kube.store import Key

from tests.integration.cluster import Kubernetes, by_kind
from tests.sockets.tools.service import Service


def own_address() -> str:
    """An address of this machine that a pod could have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing, but chooses an address
        return str(probe.getsockname()[0])


class PodServer(Service):
    """What a pod would serve."""

    def __init__(self) -> None:
        super().__init__()
        self.address = own_address()


def listening_at(port: int) -> dict[str, Any]:
    """An orchestrator that tells how it is at this port."""
    return {"config": {"server": {"metricsPort": port}}}


def owner(item: Object) -> Object:
    """The ownerReference of what this object has made."""
    metadata = {name: item["metadata"][name] for name in ("name", "uid")}
    return {"apiVersion": item["apiVersion"], "kind": item["kind"], **metadata, "controller": True}


def named(name: str, deployment: Object) -> Object:
    """A pod as a Deployment wants it."""
    template: Object = copy.deepcopy(deployment["spec"]["template"])
    template["metadata"]["name"] = name
    return template


async def made_by_its_deployment(kubernetes: Kubernetes, key: Key) -> None:
    """A ready orchestrator pod, and the ReplicaSet between it and the Deployment that wants it."""
    deployment, made = await replica_set(kubernetes, key, "orchestrator")
    await ready_pod(kubernetes, key, named(f"{key.name}-1-0", deployment), owner(made))


async def replica_set(kubernetes: Kubernetes, key: Key, tier: str) -> tuple[Object, Object]:
    """A tier's Deployment, and a ReplicaSet as it would make."""
    deployment = await kubernetes.get(by_kind("Deployment"), key.namespace, f"{key.name}-{tier}")
    assert deployment
    spec = {name: deployment["spec"][name] for name in ("selector", "template")}
    metadata = {"name": f"{key.name}-{tier}-1", "ownerReferences": [owner(deployment)]}
    path = f"/apis/apps/v1/namespaces/{key.namespace}/replicasets"
    await kubernetes._request("POST", path, body={"metadata": metadata, "spec": spec})
    return deployment, await kubernetes._request("GET", f"{path}/{metadata['name']}")


async def ready_pod(kubernetes: Kubernetes, key: Key, pod: Object, *owners: Object, address: str = "") -> None:
    """A pod like this, which has a name, that serves at an address of this machine, or at another."""
    name, address = pod["metadata"]["name"], address or own_address()
    metadata = {**pod["metadata"], "namespace": key.namespace, "ownerReferences": owners}
    await kubernetes.create({"apiVersion": "v1", "kind": "Pod", **pod, "metadata": metadata})
    addresses = {"podIP": address, "podIPs": [{"ip": address}]}
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], **addresses}
    await kubernetes.edit(by_kind("Pod"), key, name, {"status": ready}, "status")
