"""Parts of a pod that a spec may set: names and shapes as in Kubernetes, and nothing that gives privileges."""

import re
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, StringConstraints
from pydantic.alias_generators import to_snake

from tandem_operator.api.affinity import Affinity
from tandem_operator.api.labels import AnnotationValue, LabelKey, LabelValue
from tandem_operator.api.quantity import Quantity, number, total
from tandem_operator.api.source import ObjectName
from tandem_operator.rules import NOT_STORED, Rule, Ruled

Key = Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)]
ImageReference = Annotated[str, StringConstraints(pattern=r"^\S+$", min_length=1, max_length=512)]
Id = Annotated[int, Field(ge=0, le=2**31 - 1)]

_QUALIFIED: Final = (
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_LONGEST_PREFIX: Final = 253
_OUR_LABELS: Final = (
    r"tandem[.]dev/.*|app[.]kubernetes[.]io/(name|instance|component|part-of|managed-by)|pod-template-hash"
)
_OUR_ANNOTATIONS: Final = r"tandem[.]dev/.*"
_PROFILES: Final = (
    r"(container[.]apparmor[.]security[.]beta|(container[.])?seccomp[.]security[.]alpha)[.]kubernetes[.]io/.*"
)


class KeyReference(Ruled):
    """One key of a Secret or ConfigMap in the same namespace."""

    name: ObjectName
    """Name of the Secret or ConfigMap."""
    key: Key
    """Key in it."""
    optional: bool = False
    """Whether the pod starts without it."""


class FieldReference(Ruled):
    """One field of the pod itself."""

    field_path: Annotated[str, StringConstraints(pattern=r"^(metadata|spec|status)\.\S+$", max_length=253)]
    """Path, such as status.podIP or metadata.name."""


class EnvSource(Ruled):
    """Where an environment variable's value comes from."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].filter(x, x).size() == 1",
            holds=lambda s: [s.secret_key_ref, s.config_map_key_ref, s.field_ref].count(None) == 2,  # noqa: PLR2004
            message="env.valueFrom needs exactly one of secretKeyRef, configMapKeyRef and fieldRef",
        ),
    )

    secret_key_ref: KeyReference | None = None
    """A key of a Secret."""
    config_map_key_ref: KeyReference | None = None
    """A key of a ConfigMap."""
    field_ref: FieldReference | None = None
    """A field of the pod."""


class EnvVar(Ruled):
    """One environment variable."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.value) != has(self.valueFrom)",
            holds=lambda env: (env.value is None) != (env.value_from is None),
            message="an entry of env needs either value or valueFrom",
        ),
    )

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
    """Name of the variable."""
    value: Annotated[str, Field(max_length=8192)] | None = None
    """Its value."""
    value_from: EnvSource | None = None
    """Where its value is read from."""


class Resources(Ruled):
    """Compute resources of a container."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.requests.all(r, !(r in self.limits)"
            " || !quantity(string(self.requests[r])).isGreaterThan(quantity(string(self.limits[r]))))",
            holds=lambda resources: all(
                number(amount) <= number(resources.limits.get(name, amount))
                for name, amount in resources.requests.items()
            ),
            message="resources.requests must not be larger than resources.limits; lower the one or raise the other",
            field="requests",
        ),
    )

    requests: dict[LabelKey, Quantity] = Field(default={}, max_length=16)
    """What the scheduler reserves, such as cpu: 500m."""
    limits: dict[LabelKey, Quantity] = Field(default={}, max_length=16)
    """What the container may use at most."""

    def with_more(self, name: str, quantity: Quantity) -> Self:
        """Return them with more of a resource that is counted in bytes, in request and limit; in both or one of them.

        It is requested where neither is there.
        """
        requests = self.requests if name in {*self.requests, *self.limits} else {**self.requests, name: "0"}
        requests, limits = (
            {**amounts, name: total(amounts[name], quantity)} if name in amounts else amounts
            for amounts in (requests, self.limits)
        )
        return self.model_copy(update={"requests": requests, "limits": limits})


class TolerationOperator(StrEnum):
    """How a toleration compares."""

    EQUAL = "Equal"
    EXISTS = "Exists"


class TaintEffect(StrEnum):
    """What an intolerant pod suffers."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(Ruled):
    """A taint that the pods put up with."""

    key: LabelKey | None = None
    """Taint key; none means every key, with the operator Exists."""
    operator: TolerationOperator = TolerationOperator.EQUAL
    """Exists ignores the value."""
    value: LabelValue | None = None
    """Taint value."""
    effect: TaintEffect | None = None
    """Taint effect; none means every effect."""
    toleration_seconds: Annotated[int, Field(ge=0, le=2**53)] | None = None
    """How long a NoExecute taint is tolerated, in seconds; none means for ever."""


class PullSecret(Ruled):
    """A Secret with registry credentials."""

    name: ObjectName
    """Secret of type kubernetes.io/dockerconfigjson in the same namespace."""


class SecurityContext(Ruled):
    """User and groups of the processes."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.runAsUser) || self.runAsUser > 0",
            holds=lambda context: context.run_as_user != 0,
            message="securityContext.runAsUser must not be 0: the pods run without root; leave it out for the default",
            field="runAsUser",
        ),
    )

    run_as_user: Id | None = None
    """UID. Default: 10001, and on OpenShift what the platform assigns."""
    run_as_group: Id | None = None
    """Primary GID. Default: 10001, and on OpenShift what the platform assigns."""
    fs_group: Id | None = None
    """GID that owns the volumes. Default: 10001, and on OpenShift what the platform assigns."""
    supplemental_groups: list[Id] = Field(default=[], max_length=32)
    """Further GIDs, such as those of render and video for /dev/kfd and /dev/dri."""


def _qualified(field: str) -> Rule:
    name = to_snake(field)
    return Rule(
        cel=f"!has(self.{field}) || self.{field}.all(k, k.matches('^{_QUALIFIED}$')"
        f" && k.indexOf('/') <= {_LONGEST_PREFIX})",
        holds=lambda settings: all(
            re.fullmatch(_QUALIFIED, key) and key.find("/") <= _LONGEST_PREFIX for key in getattr(settings, name)
        ),
        message=f"{field}: a key is a name of at most 63 letters, digits, dashes, dots and underscores, "
        "with a DNS name in lower case and a slash before it or without, such as example.com/team",
        field=field,
    )


def _without(field: str, pattern: str, message: str) -> Rule:
    name = to_snake(field)
    return Rule(
        cel=f"!has(self.{field}) || !self.{field}.exists(k, k.matches('^({pattern})$'))",
        holds=lambda settings: not any(re.fullmatch(pattern, key) for key in getattr(settings, name)),
        message=message,
        field=field,
    )


class PodBasics(Ruled):
    """What every tier lets a spec say about its pods."""

    rules: ClassVar[tuple[Rule, ...]] = (
        _qualified("podLabels"),
        _qualified("podAnnotations"),
        _without(
            "podLabels",
            _OUR_LABELS,
            "podLabels must not have tandem.dev/*, pod-template-hash and app.kubernetes.io/ with name, instance, "
            "component, part-of or managed-by: the operator and Kubernetes set them",
        ),
        _without(
            "podAnnotations", _OUR_ANNOTATIONS, "podAnnotations must not have tandem.dev/*: the operator sets them"
        ),
        _without(
            "podAnnotations",
            _PROFILES,
            "podAnnotations must not choose AppArmor or seccomp profiles: the pods have the runtime's own, "
            "as the restricted Pod Security Standard asks",
        ),
        Rule(
            cel="!has(self.priorityClassName) || !self.priorityClassName.startsWith('system-')",
            holds=lambda settings: not (settings.priority_class_name or "").startswith("system-"),
            message="priorityClassName must not begin with system-: those classes are for the cluster's own parts",
            field="priorityClassName",
        ),
    )

    pod_labels: dict[LabelKey, LabelValue] = Field(default={}, max_length=32, json_schema_extra=NOT_STORED)
    """Labels of the pods, and of their Deployment for those who read them there, such as Kueue."""
    pod_annotations: dict[LabelKey, AnnotationValue] = Field(default={}, max_length=32, json_schema_extra=NOT_STORED)
    """Annotations of the pods."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods. Default: the cluster's own."""
    security_context: Annotated[SecurityContext, Field(json_schema_extra=NOT_STORED)] = SecurityContext()
    """User and groups of the pods' processes."""
    env: list[EnvVar] = Field(
        default=[],
        max_length=64,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    """Environment variables of the container."""
    node_selector: dict[LabelKey, LabelValue] = Field(default={}, max_length=32)
    """Labels that a node must have."""
    tolerations: list[Toleration] = Field(default=[], max_length=32)
    """Taints that the pods put up with."""
    image_pull_secrets: list[PullSecret] = Field(default=[], max_length=8)
    """Registry credentials for the image."""


class PodSettings(PodBasics):
    """What the engine and the orchestrator let a spec say about their pods."""

    affinity: Annotated[Affinity, Field(json_schema_extra={"x-defaults-described": True})] = Affinity()
    """Kubernetes affinity: nodeAffinity, podAffinity, podAntiAffinity."""
