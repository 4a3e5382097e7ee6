"""Pods of Jobs that run the operator's program beside an engine, with what opens its model and none of its GPUs."""

import re
from dataclasses import dataclass, field
from typing import Final

from tandem_contract import names

from tandem_operator.api.component import EngineComponent
from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests.component import Manifest, labels
from tandem_operator.manifests.engine.model_files import ModelFiles, model_files
from tandem_operator.manifests.platform import Platform
from tandem_operator.manifests.pod import container, plain, pod, tolerations, variables

_OURS: Final = {
    "HOME": "/tmp",  # noqa: S108 # an emptyDir
    "TMPDIR": "/tmp",  # noqa: S108
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
_REACHING: Final = re.compile(r"(?i)hf_(endpoint|token|hub_.*)|.*_proxy|aws_.*|ssl_cert_file|requests_ca_bundle")
"""Variables of the engine by which a hub or a store is reached."""
_OFFLINE: Final = "HF_HUB_OFFLINE"


@dataclass(frozen=True)
class Helper:
    """What such a pod does."""

    name: str
    """In the place of a tier, its label, and the name of its container."""
    args: list[str]
    resources: Manifest
    volumes: dict[str, Manifest] = field(default_factory=dict)
    """Volumes by the path where they are mounted."""
    read_only: bool = True
    port: int | None = None
    placed: bool = False
    """Whether it goes to the engine's nodes, as a volume may that both mount."""


def template(service: LLMService, component: EngineComponent, platform: Platform, helper: Helper) -> Manifest:
    """Return the pod template of a Job; its ServiceAccount is the namespace's own, without a token."""
    files = model_files(component.model)
    volumes: list[Manifest] = [{"name": "tmp", "emptyDir": {}}]
    mounts: list[Manifest] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    for path, volume in helper.volumes.items():
        name = path.strip("/")
        volumes.append({"name": name, **volume})
        mounts.append({"name": name, "mountPath": path, **({"readOnly": True} if helper.read_only else {})})
    ports: Manifest = {"ports": [{"name": "http", "containerPort": helper.port, "protocol": "TCP"}]}
    runs = container(
        helper.name,
        platform.images.operator,
        args=helper.args,
        env=[*variables(_OURS), *_access(component, files)],
        resources=helper.resources,
        volumeMounts=mounts,
        **(ports if helper.port else {}),
    )
    fields: Manifest = {"restartPolicy": "Never", "containers": [runs], "volumes": volumes}
    if helper.placed and (tolerated := tolerations(component.spec)):
        fields["tolerations"] = tolerated
    pull_secrets = [*files.pull_secrets, *plain(component.spec.image_pull_secrets)]
    if pull_secrets:
        fields["imagePullSecrets"] = pull_secrets
    spec = pod(component, platform, **fields, serviceAccountName="default")
    left_out = {"priorityClassName"} if helper.placed else {"priorityClassName", "nodeSelector", "affinity"}
    marked = {"app.kubernetes.io/component": helper.name, names.LABEL_TIER: helper.name}
    return {
        "metadata": {"labels": labels(service, component) | marked | component.spec.pod_labels},
        "spec": {name: value for name, value in spec.items() if name not in left_out},
    }


def _access(component: EngineComponent, files: ModelFiles) -> list[Manifest]:
    """Return what opens the model's source, and the engine's own variables that say how it is reached."""
    theirs = [each for each in plain(component.spec.env) if _REACHING.fullmatch(each["name"])]
    merged = {each["name"]: each for each in [*files.env, *theirs] if each["name"] != _OFFLINE}
    return list(merged.values())
