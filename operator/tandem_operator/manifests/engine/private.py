"""How the orchestrator reaches the engines, and how nobody else does: their key, NetworkPolicies and Services.

The key is no part of the Secret's manifest: the operator fills it in once and never overwrites it, so that deleting the
Secret is all that a rotation takes.

The orchestrator finds an engine's pods by the headless Service, to balance over them and to send what begins alike to
the same pod. A pod that is ending leaves its DNS name at once, long before it stops listening.
"""

import hashlib
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tandem_contract import names

from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests.component import Manifest, child
from tandem_operator.manifests.pod import service_port

KEY_STAMP: Final = "tandem.dev/engine-key"
"""Annotation of pods: the fingerprint of the key that they began with."""


def secret(service: LLMService) -> Manifest | None:
    """Return the Secret of the engines' key, without its data; None where no engine runs here."""
    if not service.engines:
        return None
    return {**child(service, service.engine, "v1", "Secret", service.engine_key_name), "type": "Opaque"}


def key_version(secret: Mapping[str, Any] | None) -> str | None:
    """Return a fingerprint of the key in a live Secret; None where there is no key."""
    data = (secret or {}).get("data") or {}
    key = data.get(names.ENGINE_KEY)
    return hashlib.sha256(b64decode(key)).hexdigest()[:16] if key else None


def is_everywhere(version: str | None, deployments: Iterable[Mapping[str, Any] | None]) -> bool:
    """Return whether every pod of these live Deployments has the key of this fingerprint, and serves."""
    return all(deployment is not None and _has(deployment, version) for deployment in deployments)


def _has(deployment: Mapping[str, Any], version: str | None) -> bool:
    stamped = deployment["spec"]["template"]["metadata"].get("annotations") or {}
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return stamped.get(KEY_STAMP) == version and seen and counts == [wanted] * len(counts)


def network_policies(service: LLMService) -> Iterable[Manifest]:
    """Return policies that admit orchestrators and the monitoring namespace to each engine, and nobody else."""
    if not service.spec.networking.network_policy.enabled:
        return
    monitoring = {"kubernetes.io/metadata.name": service.spec.monitoring.namespace}
    for engine in service.engines:
        yield {
            **child(service, engine, "networking.k8s.io/v1", "NetworkPolicy"),
            "spec": {
                "podSelector": {"matchLabels": dict(engine.selector)},
                "policyTypes": ["Ingress"],
                "ingress": [
                    {
                        "from": [
                            *({"podSelector": {"matchLabels": dict(each.selector)}} for each in service.orchestrators),
                            {"namespaceSelector": {"matchLabels": monitoring}},
                        ],
                        "ports": [{"protocol": "TCP", "port": names.ENGINE_PORT}],
                    }
                ],
            },
        }


def services(service: LLMService) -> Iterable[Manifest]:
    """Return for each engine the Service that has one address, and the headless one that has each pod's."""
    for engine in service.engines:
        selector = dict(engine.selector)
        yield {
            **child(service, engine, "v1", "Service"),
            "spec": {"type": "ClusterIP", "selector": selector, "ports": [service_port("http", names.ENGINE_PORT)]},
        }
        # Its port has a name of its own, so that a ServiceMonitor for `http` does not count every pod twice.
        ports = [service_port("pods", names.ENGINE_PORT)]
        spec = {"type": "ClusterIP", "clusterIP": "None", "selector": selector, "ports": ports}
        yield {**child(service, engine, "v1", "Service", service.pods_service_name(engine)), "spec": spec}
