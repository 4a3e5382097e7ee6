"""What the API server would refuse: Kubernetes' own schemas, the LLMService definition, Pod Security."""

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path

import yaml
from jsonschema_rs import Draft202012Validator, Registry

from hack.generation.values import strict, version_schema
from tests.unit.charts.helm import ROOT, Json

KUBERNETES = resources.files("kubernetes_validate") / "kubernetes-json-schema" / "v1.37.0-local-strict"
CRD = ROOT / "crds" / "tandem.dev_llmservices.yaml"
CLOUDNATIVEPG = "postgresql.cnpg.io/v1"
WITHOUT_SCHEMA = {"monitoring.coreos.com/v1"}  # not Kubernetes' own
VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected"),
    "secret",
}


def problems(document: Json) -> list[str]:
    """Every way in which an object does not fit its schema, as `kind/name path: message`."""
    if document["apiVersion"] in WITHOUT_SCHEMA:
        return []
    name = f"{document['kind']}/{document['metadata']['name']}"
    found = validator(document["apiVersion"], document["kind"]).iter_errors(document)
    return [f"{name} {'.'.join(map(str, error.instance_path))}: {error.message}" for error in found]


@cache
def validator(api_version: str, kind: str) -> Draft202012Validator:
    if kind == "LLMService":
        return Draft202012Validator(llmservice())
    if api_version == CLOUDNATIVEPG:
        return Draft202012Validator(json.loads((Path(__file__).parent / "cloudnativepg_cluster.json").read_text()))
    group, _, version = api_version.rpartition("/")
    stem = "-".join(part for part in (kind.lower(), group.split(".")[0], version) if part)
    return Draft202012Validator(published(stem), registry=definitions())


@cache
def definitions() -> Registry:
    document = published("_definitions")
    return Registry([(document["$id"], document)])


def published(stem: str) -> Json:
    document: Json = json.loads((KUBERNETES / f"{stem}.json").read_text())
    return document


@cache
def crd() -> Json:
    document: Json = yaml.load(CRD.read_text(), yaml.CSafeLoader)
    return document


@cache
def llmservice() -> Json:
    """The LLMService definition as a JSON schema that refuses unknown fields; metadata is Kubernetes' business."""
    schema = strict(version_schema(crd()))
    schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}
    return schema


def unrestricted(pod: Json) -> Iterator[str]:
    """Every way in which a pod spec breaks the `restricted` Pod Security Standard."""
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield field
    for volume in pod.get("volumes", []):
        if not volume.keys() & VOLUMES:
            yield f"volume {volume['name']}"
    for container in (*pod.get("initContainers", []), *pod["containers"]):
        context = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
        wanted = {
            "runAsNonRoot": context.get("runAsNonRoot") is True and context.get("runAsUser") != 0,
            "seccompProfile": context.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
            "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is False,
            "privileged": not context.get("privileged"),
            "capabilities": context.get("capabilities") == {"drop": ["ALL"]},
            "hostPort": not any("hostPort" in port for port in container.get("ports", [])),
        }
        yield from (f"{container['name']}: {rule}" for rule, kept in wanted.items() if not kept)
