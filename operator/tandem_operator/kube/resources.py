"""Kinds of objects that the operator reads or writes, and where the API server keeps them."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from tandem_contract import names

Object = dict[str, Any]


@dataclass(frozen=True)
class Resource:
    """One kind of object."""

    api_version: str
    kind: str
    plural: str

    @property
    def group(self) -> str:
        """API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """Version without the group."""
        return self.api_version.rpartition("/")[2]

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the URL path of the collection, of all namespaces without one, of one object or its subresource."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        where = f"namespaces/{quote(namespace)}" if namespace else None
        parts = [root, where, self.plural, quote(name) if name else None, subresource]
        return "/".join(part for part in parts if part)


LLM_SERVICE: Final = Resource(f"{names.GROUP}/{names.VERSION}", names.KIND, names.PLURAL)
POD: Final = Resource("v1", "Pod", "pods")
REPLICA_SET: Final = Resource("apps/v1", "ReplicaSet", "replicasets")
EVENT: Final = Resource("v1", "Event", "events")
NODE: Final = Resource("v1", "Node", "nodes")
RESOURCE_SLICE: Final = Resource("resource.k8s.io/v1", "ResourceSlice", "resourceslices")
SERVICE_MONITOR: Final = Resource("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors")
SECURITY_CONTEXT_CONSTRAINTS: Final = Resource(
    "security.openshift.io/v1", "SecurityContextConstraints", "securitycontextconstraints"
)
SECRET: Final = Resource("v1", "Secret", "secrets")
CONFIG_MAP: Final = Resource("v1", "ConfigMap", "configmaps")
CLAIM: Final = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
JOB: Final = Resource("batch/v1", "Job", "jobs")
CHILDREN: Final = (
    Resource("v1", "ServiceAccount", "serviceaccounts"),
    SECRET,
    CONFIG_MAP,
    Resource("v1", "Service", "services"),
    CLAIM,
    Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    Resource("apps/v1", "Deployment", "deployments"),
    JOB,
    Resource("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    SERVICE_MONITOR,
)
BY_KIND: Final = {resource.kind: resource for resource in (*CHILDREN, LLM_SERVICE, POD, EVENT)}


def controlled_by(item: Object, uid: str) -> bool:
    """Return whether an object's controller is the resource with this uid."""
    owner = controller(item)
    return owner is not None and bool(owner["uid"] == uid)


def controller(item: Object) -> Object | None:
    """Return the ownerReference to an object's controller, of which there is one at most."""
    owners = item["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), None)
