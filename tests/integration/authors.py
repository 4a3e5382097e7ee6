"""Somebody who may write the LLMServices of a namespace and nothing else, and what an administrator gives them."""

import secrets
from collections.abc import Iterator
from typing import Any

from tandem_operator.kube.api import ApiError
from tandem_operator.kube.resources import LLM_SERVICE, Object

from tests.integration.cluster import Kubernetes, eventually
from tests.unit.charts import helm

AUTHOR = "author"
MODEL: Object = {"source": "hf://org/model"}
_RBAC = "rbac.authorization.k8s.io"
_INSTALLED = ("tandem-llmservice-authors", "tandem-llmservice-edit", "tandem-llmservice-view")
_PLURALS = {
    "ClusterRole": "clusterroles",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}


def policy(values: Object | None = None) -> Iterator[Object]:
    """What the chart installs beside the operator: the authors' roles and the policy that looks at their rights."""
    return (item for item in helm.template(helm.OPERATOR, values) if item["metadata"]["name"] in _INSTALLED)


async def put(admin: Kubernetes, item: Object) -> None:
    """Apply an object of a kind that the operator does not know."""
    namespace, name = item["metadata"].get("namespace"), item["metadata"]["name"]
    where = f"/namespaces/{namespace}" if namespace else ""
    path = f"/apis/{item['apiVersion']}{where}/{_PLURALS[item['kind']]}/{name}"
    await admin._request("PATCH", path, {"fieldManager": "tests"}, item, "application/apply-patch+yaml")


async def grant(admin: Kubernetes, namespace: str, *rules: Object) -> None:
    """Give the author these rights in a namespace, beside those on LLMServices."""
    await put(admin, {**_head("Role", namespace, "more"), "rules": list(rules)})
    await _bind(admin, namespace, "Role", "more")


def right(resource: str, *verbs: str, group: str = "", names: tuple[str, ...] = ()) -> Object:
    rule: Object = {"apiGroups": [group], "resources": [resource], "verbs": [*verbs]}
    return {**rule, "resourceNames": [*names]} if names else rule


EDITOR = (right("pods", "create"), right("services", "create"))
"""What Kubernetes' own role edit adds, as far as the policy asks for it."""


async def a_namespace(admin: Kubernetes, author: Kubernetes, prefix: str) -> str:
    """A namespace of the author's, as soon as the API server knows the policy and the rights."""
    namespace = await admin.namespace(f"{prefix}-{secrets.token_hex(4)}")
    for role in ("edit", "view"):
        await _bind(admin, namespace, "ClusterRole", f"tandem-llmservice-{role}")
    probe = {"model": {**MODEL, "credentials": {"secretName": "probe"}}}

    async def is_in_force() -> bool:
        return "may not get secrets/probe" in await refusal(author, namespace, probe)

    await eventually(is_in_force)
    return namespace


async def refusal(author: Kubernetes, namespace: str, spec: Object) -> str:
    """Why the API server would not take a service with this spec; empty where it would."""
    try:
        await author._request("POST", f"{LLM_SERVICE.path(namespace)}?dryRun=All", body=service(namespace, spec))
    except ApiError as error:
        return str(error)
    return ""


def service(namespace: str, spec: Object, **metadata: Any) -> Object:
    return {
        "apiVersion": LLM_SERVICE.api_version,
        "kind": LLM_SERVICE.kind,
        "metadata": {"name": "demo", "namespace": namespace, **metadata},
        "spec": {"model": MODEL, **spec},
    }


async def _bind(admin: Kubernetes, namespace: str, kind: str, role: str) -> None:
    subject = {"apiGroup": _RBAC, "kind": "User", "name": AUTHOR}
    head = _head("RoleBinding", namespace, role)
    await put(admin, {**head, "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": role}, "subjects": [subject]})


def _head(kind: str, namespace: str, name: str) -> Object:
    return {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}}
