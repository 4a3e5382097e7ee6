"""What hands and other controllers do to a service's children: put right, left alone, or contested."""

from typing import Any

import pytest
from tandem_operator.kube.resources import LLM_SERVICE, Object
from tandem_operator.kube.store import Key

from tests.integration.cluster import Kubernetes, by_kind
from tests.integration.test_reconcile import RICH, owned

Contents = dict[tuple[str, str], Object]


def pod(**fields: Any) -> Object:
    return {"spec": {"template": {"spec": fields}}}


ENGINE, ORCHESTRATOR = ("Deployment", "demo-engine"), ("Deployment", "demo-orchestrator")
POLICY, BUDGET = ("NetworkPolicy", "demo-engine"), ("PodDisruptionBudget", "demo-orchestrator")
CLIENTS, PRIVATE, PODS = ("Service", "demo"), ("Service", "demo-engine"), ("Service", "demo-engine-pods")
SCALER, CONFIG = ("HorizontalPodAutoscaler", "demo-orchestrator"), ("ConfigMap", "demo-orchestrator")
SIDECAR = {"name": "extra", "image": "nowhere/extra"}
LABEL = {"matchLabels": {"extra": "label"}}

MERGED: dict[str, tuple[tuple[str, str], Object]] = {
    "the policy's podSelector": (POLICY, {"spec": {"podSelector": LABEL}}),
    "the policy's podSelector by expression": (
        POLICY,
        {"spec": {"podSelector": {"matchExpressions": [{"key": "x", "operator": "Exists"}]}}},
    ),
    "the policy's egress": (POLICY, {"spec": {"policyTypes": ["Ingress", "Egress"], "egress": [{}]}}),
    "the policy's egress alone": (POLICY, {"spec": {"egress": [{}]}}),
    "the policy's types": (POLICY, {"spec": {"policyTypes": ["Egress"]}}),
    "a Service's selector": (PRIVATE, {"spec": {"selector": {"extra": "label"}}}),
    "the clients' selector": (CLIENTS, {"spec": {"selector": {"extra": "label"}}}),
    "a Service's externalIPs": (CLIENTS, {"spec": {"externalIPs": ["192.0.2.1"]}}),
    "a Service's type": (PRIVATE, {"spec": {"type": "LoadBalancer"}}),
    "addresses of pods that are not ready": (PODS, {"spec": {"publishNotReadyAddresses": True}}),
    "a Service's affinity": (CLIENTS, {"spec": {"sessionAffinity": "ClientIP"}}),
    "a Service's traffic": (CLIENTS, {"spec": {"internalTrafficPolicy": "Local"}}),
    "a Service's preference": (PRIVATE, {"spec": {"trafficDistribution": "PreferClose"}}),
    "the budget's selector": (BUDGET, {"spec": {"selector": LABEL}}),
    "the budget's form": (BUDGET, {"spec": {"maxUnavailable": None, "minAvailable": 1}}),
    "the autoscaler's speed": (SCALER, {"spec": {"behavior": {"scaleDown": {"selectPolicy": "Disabled"}}}}),
    "the autoscaler's metrics": (
        SCALER,
        {
            "spec": {
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 9}},
                    }
                ]
            }
        },
    ),
    "a key of the configuration": (CONFIG, {"data": {"extra.yaml": "a: b"}}),
    "bytes in the configuration": (CONFIG, {"binaryData": {"extra": "YQ=="}}),
    "paused": (ENGINE, {"spec": {"paused": True}}),
    "minReadySeconds": (ENGINE, {"spec": {"minReadySeconds": 600}}),
    "strategy": (ORCHESTRATOR, {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}),
    "progressDeadlineSeconds": (ORCHESTRATOR, {"spec": {"progressDeadlineSeconds": 5}}),
    "hostNetwork": (ENGINE, pod(hostNetwork=True)),
    "hostPID": (ENGINE, pod(hostPID=True)),
    "hostIPC": (ORCHESTRATOR, pod(hostIPC=True)),
    "shareProcessNamespace": (ENGINE, pod(shareProcessNamespace=True)),
    "nodeSelector": (ENGINE, pod(nodeSelector={"extra": "label"})),
    "nodeName": (ENGINE, pod(nodeName="control-plane")),
    "tolerations": (ENGINE, pod(tolerations=[{"operator": "Exists"}])),
    "no toleration": (ORCHESTRATOR, pod(tolerations=[{"operator": "Exists"}])),
    "affinity": (ORCHESTRATOR, pod(affinity={"podAntiAffinity": {}})),
    "priorityClassName": (ENGINE, pod(priorityClassName="system-cluster-critical")),
    "schedulerName": (ENGINE, pod(schedulerName="other")),
    "runtimeClassName": (ORCHESTRATOR, pod(runtimeClassName="other")),
    "dnsPolicy": (ENGINE, pod(dnsPolicy="Default")),
    "dnsConfig": (ENGINE, pod(dnsConfig={"nameservers": ["192.0.2.1"]})),
    "hostAliases": (ENGINE, pod(hostAliases=[{"ip": "192.0.2.1", "hostnames": ["huggingface.co"]}])),
    "serviceAccountName": (ENGINE, pod(serviceAccountName="default", serviceAccount="default")),
    "the pods' token": (ENGINE, pod(automountServiceAccountToken=True)),
    "the pods' group": (ENGINE, pod(securityContext={"supplementalGroups": [0]})),
    "the pods' user": (ENGINE, pod(securityContext={"runAsUser": 0, "runAsNonRoot": None})),
    "initContainers": (ENGINE, pod(initContainers=[SIDECAR])),
    "imagePullSecrets": (ENGINE, pod(imagePullSecrets=[{"name": "extra"}])),
    "a token": (("ServiceAccount", "demo-engine"), {"automountServiceAccountToken": None}),
}

LISTED: dict[str, tuple[tuple[str, str], Object]] = {
    "an extra container": (ENGINE, pod(containers=[SIDECAR])),
    "an extra volume": (ENGINE, pod(volumes=[{"name": "host", "hostPath": {"path": "/"}}])),
    "another kind of volume": (ENGINE, pod(volumes=[{"name": "tmp", "emptyDir": None, "hostPath": {"path": "/"}}])),
    "an extra variable": (ENGINE, pod(containers=[{"name": "engine", "env": [{"name": "X", "value": "y"}]}])),
    "a variable's value": (ENGINE, pod(containers=[{"name": "engine", "env": [{"name": "USER", "value": "y"}]}])),
    "variables of a ConfigMap": (
        ENGINE,
        pod(containers=[{"name": "engine", "envFrom": [{"configMapRef": {"name": "x"}}]}]),
    ),
    "an extra mount": (
        ENGINE,
        pod(containers=[{"name": "engine", "volumeMounts": [{"name": "tmp", "mountPath": "/models"}]}]),
    ),
    "an extra port": (ENGINE, pod(containers=[{"name": "engine", "ports": [{"containerPort": 9, "hostPort": 9}]}])),
    "a port of the host": (
        ENGINE,
        pod(containers=[{"name": "engine", "ports": [{"containerPort": 8000, "protocol": "TCP", "hostPort": 8000}]}]),
    ),
    "another image": (ENGINE, pod(containers=[{"name": "engine", "image": "nowhere/other"}])),
    "imagePullPolicy": (ENGINE, pod(containers=[{"name": "engine", "imagePullPolicy": "Never"}])),
    "another command": (ORCHESTRATOR, pod(containers=[{"name": "orchestrator", "command": ["sh"]}])),
    "capabilities": (
        ENGINE,
        pod(containers=[{"name": "engine", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]),
    ),
    "more than the container's user": (
        ENGINE,
        pod(containers=[{"name": "engine", "securityContext": {"runAsUser": 0, "allowPrivilegeEscalation": True}}]),
    ),
    "limits": (ENGINE, pod(containers=[{"name": "engine", "resources": {"limits": {"cpu": "1"}}}])),
    "another probe": (
        ENGINE,
        pod(containers=[{"name": "engine", "livenessProbe": {"initialDelaySeconds": 9000}}]),
    ),
    "stdin": (ENGINE, pod(containers=[{"name": "engine", "stdin": True, "tty": True}])),
    "an extra spread": (
        ENGINE,
        pod(
            topologySpreadConstraints=[
                {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": LABEL}
            ]
        ),
    ),
    "a Service's extra port": (PRIVATE, {"spec": {"ports": [{"name": "extra", "port": 22, "targetPort": 22}]}}),
    "a Service's target": (PRIVATE, {"spec": {"ports": [{"port": 8000, "targetPort": 9}]}}),
}


def content(objects: list[Object]) -> Contents:
    """Objects without what only counts their versions."""
    return {
        name: {field: value for field, value in item.items() if field not in ("metadata", "status")}
        | {"labels": item["metadata"]["labels"], "annotations": item["metadata"].get("annotations")}
        for name, item in owned(objects).items()
    }


async def built(kubernetes: Kubernetes, namespace: str, **spec: Any) -> tuple[Key, Contents]:
    key = await kubernetes.serve(namespace, **spec)
    await kubernetes.reconcile(key)
    return key, content(await kubernetes.objects(key))


async def put_right(kubernetes: Kubernetes, key: Key, before: Contents, changed: tuple[str, str]) -> None:
    """One write makes it as it was, and nothing is left to do."""
    assert content(await kubernetes.objects(key)) != before, "the edit changes nothing"
    writes = [write for write in await kubernetes.reconcile(key) if "/events" not in write and "/status" not in write]
    assert len(writes) == 1, writes
    assert content(await kubernetes.objects(key)) == before, changed
    assert await kubernetes.reconcile(key) == []


@pytest.mark.parametrize(("changed", "patch"), MERGED.values(), ids=MERGED.keys())
async def test_drift_is_put_right_by_one_write(
    kubernetes: Kubernetes, namespace: str, changed: tuple[str, str], patch: Object
) -> None:
    key, before = await built(kubernetes, namespace)
    await kubernetes.edit(by_kind(changed[0]), key, changed[1], patch)
    await put_right(kubernetes, key, before, changed)


@pytest.mark.parametrize(("changed", "patch"), LISTED.values(), ids=LISTED.keys())
async def test_drift_in_lists_is_put_right_by_one_write(
    kubernetes: Kubernetes, namespace: str, changed: tuple[str, str], patch: Object
) -> None:
    key, before = await built(kubernetes, namespace, **RICH)
    await kubernetes.edit_strategically(by_kind(changed[0]), key, changed[1], patch)
    await put_right(kubernetes, key, before, changed)


ADDED: dict[str, tuple[tuple[str, str], Object]] = {
    "annotations": (CLIENTS, {"metadata": {"annotations": {"team": "a"}}}),
    "labels": (ENGINE, {"metadata": {"labels": {"team": "a"}}}),
    "a restart": (
        ENGINE,
        {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01"}}}}},
    ),
    "the pods' labels": (ORCHESTRATOR, {"spec": {"template": {"metadata": {"labels": {"team": "a"}}}}}),
    "a revision": (ENGINE, {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "7"}}}),
    "finalizers": (CLIENTS, {"metadata": {"finalizers": ["service.kubernetes.io/load-balancer-cleanup"]}}),
    "replicas of the autoscaler": (ORCHESTRATOR, {"spec": {"replicas": 5}}),
    "secrets of an account": (("ServiceAccount", "demo-engine"), {"secrets": [{"name": "demo-engine-token"}]}),
    "an account's pull secrets": (("ServiceAccount", "demo-engine"), {"imagePullSecrets": [{"name": "registry"}]}),
    "a cloud's role": (
        ("ServiceAccount", "demo-engine"),
        {"metadata": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"}}},
    ),
    "a key of the Secret": (("Secret", "demo-engine-key"), {"data": {"extra": "YQ=="}}),
    "a chosen engine key": (("Secret", "demo-engine-key"), {"data": {"api-key": "YQ=="}}),
    "a node port": (
        CLIENTS,
        {
            "spec": {
                "ports": [
                    {
                        "name": "http",
                        "port": 80,
                        "targetPort": "http",
                        "protocol": "TCP",
                        "appProtocol": "http",
                        "nodePort": 30123,
                    }
                ]
            }
        },
    ),
    "two families": (CLIENTS, {"spec": {"ipFamilyPolicy": "PreferDualStack"}}),
}


@pytest.mark.parametrize(("changed", "patch"), ADDED.values(), ids=ADDED.keys())
async def test_what_others_may_add_stays_even_when_something_else_is_put_right(
    kubernetes: Kubernetes, namespace: str, changed: tuple[str, str], patch: Object
) -> None:
    key, before = await built(kubernetes, namespace, networking={"service": {"type": "NodePort"}})
    await kubernetes.edit(by_kind(changed[0]), key, changed[1], patch)
    if "api-key" in str(patch):
        await kubernetes.reconcile(key)  # which rolls the pods
    added = content(await kubernetes.objects(key))
    assert added[changed] != before[changed] or "finalizers" in str(patch)
    assert await kubernetes.reconcile(key) == []
    for name, drift in ((CLIENTS, {"externalIPs": ["192.0.2.1"]}), (ENGINE, {"paused": True})):
        await kubernetes.edit(by_kind(name[0]), key, name[1], {"spec": drift})
    await kubernetes.edit(by_kind("Deployment"), key, ORCHESTRATOR[1], pod(hostPID=True))
    assert len(await kubernetes.reconcile(key)) == 3
    assert content(await kubernetes.objects(key)) == added


async def test_a_configuration_that_was_made_immutable_is_made_anew(kubernetes: Kubernetes, namespace: str) -> None:
    key, before = await built(kubernetes, namespace)
    await kubernetes.edit(by_kind("ConfigMap"), key, CONFIG[1], {"data": {"config.yaml": "a: b"}, "immutable": True})
    await kubernetes.edit(by_kind("Secret"), key, "demo-engine-key", {"immutable": True})
    await kubernetes.reconcile(key)
    after = content(await kubernetes.objects(key))
    assert after[CONFIG] == before[CONFIG]
    assert after.pop(("Secret", "demo-engine-key"))["data"] == before[("Secret", "demo-engine-key")]["data"]
    assert await kubernetes.reconcile(key) == []


async def test_a_service_that_was_made_another_s_name_leads_to_its_pods_again(
    kubernetes: Kubernetes, namespace: str
) -> None:
    key, before = await built(kubernetes, namespace)
    elsewhere = {"type": "ExternalName", "externalName": "elsewhere.example", "clusterIP": None, "clusterIPs": None}
    for _, name in (CLIENTS, PODS):
        await kubernetes.edit(by_kind("Service"), key, name, {"spec": elsewhere})
    assert len(await kubernetes.reconcile(key)) == 2
    after = content(await kubernetes.objects(key))
    for service in (CLIENTS, PODS):
        assert "externalName" not in after[service]["spec"]
        assert after[service]["spec"]["type"] == "ClusterIP"
    assert after[PODS] == before[PODS]
    assert await kubernetes.reconcile(key) == []


async def test_whoever_adds_and_however_it_is_put_right(kubernetes: Kubernetes, namespace: str) -> None:
    """Server-side apply with force, a replaced object without our annotation, and a client that uses our name."""
    key, before = await built(kubernetes, namespace)
    path = by_kind("Deployment").path(namespace, ENGINE[1])
    host = {**pod(hostNetwork=True, hostPID=True), "apiVersion": "apps/v1", "kind": "Deployment"}

    async def applied() -> None:
        manifest = {**host, "metadata": {"name": ENGINE[1], "namespace": namespace}}
        await kubernetes.apply(manifest, "argocd")

    async def replaced() -> None:
        live = owned(await kubernetes.objects(key))[ENGINE]
        live["spec"]["template"]["spec"].update(hostNetwork=True, hostIPC=True)
        del live["metadata"]["annotations"]["tandem.dev/applied"]
        await kubernetes._request("PUT", path, None, live)

    async def applied_as_ours() -> None:
        live = owned(await kubernetes.objects(key))[ENGINE]
        containers = [{"name": "engine", "image": live["spec"]["template"]["spec"]["containers"][0]["image"]}]
        spec = {"selector": live["spec"]["selector"], **pod(hostNetwork=True, containers=containers)["spec"]}
        spec["template"]["metadata"] = {"labels": live["spec"]["template"]["metadata"]["labels"]}
        metadata = {name: live["metadata"][name] for name in ("name", "namespace", "labels", "ownerReferences")}
        await kubernetes.apply({**host, "metadata": metadata, "spec": spec}, "tandem-operator")

    for edit in (applied, replaced, applied_as_ours):
        await edit()
        await put_right(kubernetes, key, before, ENGINE)


async def test_owners_that_others_add_stay(kubernetes: Kubernetes, namespace: str) -> None:
    key, _ = await built(kubernetes, namespace)
    service = owned(await kubernetes.objects(key))[CLIENTS]
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "0" * 8}
    owners = [*service["metadata"]["ownerReferences"], other]
    patch = {"metadata": {"ownerReferences": owners}, "spec": {"externalIPs": ["192.0.2.1"]}}
    await kubernetes.edit(by_kind("Service"), key, "demo", patch)
    assert len(await kubernetes.reconcile(key)) == 1
    service = owned(await kubernetes.objects(key))[CLIENTS]
    assert "externalIPs" not in service["spec"]
    assert service["metadata"]["ownerReferences"] == owners


async def test_what_a_correction_has_set_goes_when_it_is_no_longer_wanted(
    kubernetes: Kubernetes, namespace: str
) -> None:
    template = {"engine": {"toolCalling": {"chatTemplate": "{{ messages }}"}, "nodeSelector": {"pool": "gpu"}}}
    key, _ = await built(kubernetes, namespace, **template)
    drift = pod(hostPID=True, volumes=[], nodeSelector=None, containers=[SIDECAR])
    await kubernetes.edit(by_kind("Deployment"), key, ENGINE[1], drift)
    assert len(await kubernetes.reconcile(key)) == 1
    off = {"toolCalling": {"chatTemplate": None}, "nodeSelector": None}
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": {"engine": off}})
    await kubernetes.reconcile(key)
    spec = owned(await kubernetes.objects(key))[ENGINE]["spec"]["template"]["spec"]
    assert "chat-template" not in str(spec)
    assert "nodeSelector" not in spec
    assert await kubernetes.reconcile(key) == []


UNUSUAL: dict[str, Any] = {
    "an empty variable": {"engine": {"env": [{"name": "A", "value": ""}]}},
    "empty affinity": {
        "engine": {
            "affinity": {"nodeAffinity": {}, "podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
        }
    },
    "affinity to every pod": {
        "orchestrator": {
            "affinity": {
                "podAntiAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        {"labelSelector": {"matchLabels": {}}, "topologyKey": "zone"}
                    ]
                }
            }
        }
    },
    "null in affinity": {"engine": {"affinity": {"nodeAffinity": None}}},
    "no affinity": {"engine": {"affinity": {}}},
    "quantities": {"engine": {"resources": {"requests": {"cpu": "0.5", "memory": "1.5Gi"}, "limits": {"cpu": 2}}}},
    "an empty label": {"engine": {"nodeSelector": {"gpu": ""}}},
    "a toleration of everything": {"engine": {"tolerations": [{"operator": "Exists"}]}},
    "our toleration again": {
        "engine": {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]}
    },
    "a value of nothing": {"engine": {"tolerations": [{"key": "a", "value": ""}]}},
    "a port of ours": {"orchestrator": {"config": {"server": {"metricsPort": 9000}}}},
    "a load balancer": {"networking": {"service": {"type": "LoadBalancer"}}},
    "TLS": {
        "orchestrator": {
            "config": {
                "server": {
                    "tls": {
                        "certificate": {"secretName": "tls", "secretKey": "tls.crt"},
                        "key": {"secretName": "tls", "secretKey": "tls.key"},
                    }
                }
            }
        }
    },
    "no policies": {"orchestrator": {"autoscaling": {"behavior": {"scaleDown": {"selectPolicy": "Disabled"}}}}},
}


@pytest.mark.parametrize("spec", UNUSUAL.values(), ids=UNUSUAL.keys())
async def test_what_the_api_server_spells_otherwise_is_no_drift(
    kubernetes: Kubernetes, namespace: str, spec: dict[str, Any]
) -> None:
    key, _ = await built(kubernetes, namespace, **spec)
    assert await kubernetes.reconcile(key) == []
    assert "Degraded" not in await kubernetes.conditions(key)
