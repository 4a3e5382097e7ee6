"""A service that the operator cannot look at."""

import secrets
from pathlib import Path
from typing import Any

from hack.cluster.control_plane import ControlPlane
from tests.integration.cluster import Kubernetes, eventually
from tests.integration.conftest import running_operator

RBAC = "/apis/rbac.authorization.k8s.io/v1"
RIGHTS: list[dict[str, Any]] = [
    {
        "apiGroups": [
            *("tandem.dev", "apps", "autoscaling", "batch", "policy", "networking.k8s.io", "monitoring.coreos.com")
        ],
        "resources": ["*"],
        "verbs": ["*"],
    },
    {
        "apiGroups": [""],
        "resources": ["services", "configmaps", "serviceaccounts", "secrets", "events", "persistentvolumeclaims"],
        "verbs": ["*"],
    },
]
"""All that the operator needs but one: it may not see pods."""


async def test_what_keeps_failing_before_a_service_is_looked_at_is_in_its_status_within_two_minutes(
    kubernetes: Kubernetes, control_plane: ControlPlane, tmp_path: Path
) -> None:
    name = f"blind-{secrets.token_hex(4)}"
    namespace = await kubernetes.namespace(name)
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}
    for path, body in (
        ("clusterroles", {"rules": RIGHTS}),
        ("clusterrolebindings", {"roleRef": role, "subjects": [subject]}),
    ):
        await kubernetes._request("POST", f"{RBAC}/{path}", body={"metadata": {"name": name}, **body})
    operator = running_operator(control_plane, tmp_path / "log", namespace)
    operator.environment["KUBECONFIG"] = str(control_plane.client(name, name))
    with operator:
        key = await kubernetes.serve(namespace)

        async def is_unknown() -> bool:
            ready = (await kubernetes.conditions(key)).get("Ready", {})
            return ready.get("status") == "Unknown" and "pods" in ready.get("message", "")

        await eventually(is_unknown, 120)
        assert operator.process.poll() is None
