"""Where pods are drawn to and kept away from: as in Kubernetes, and with bounds."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from tandem_operator.api.labels import LabelKey, LabelValue
from tandem_operator.rules import Ruled

Weight = Annotated[int, Field(ge=1, le=100)]
NodeValue = Annotated[str, StringConstraints(max_length=253)]
Namespace = Annotated[str, StringConstraints(min_length=1, max_length=63)]


class NodeOperator(StrEnum):
    """How a node's label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"


class LabelOperator(StrEnum):
    """How a label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class NodeRequirement(Ruled):
    """One requirement."""

    key: LabelKey
    """Label, or in matchFields metadata.name."""
    operator: NodeOperator
    """Comparison."""
    values: list[NodeValue] = Field(default=[], max_length=256)
    """One whole number with Gt and Lt, none with Exists and DoesNotExist."""


class NodeSelectorTerm(Ruled):
    """Nodes that meet all of these requirements."""

    match_expressions: list[NodeRequirement] = Field(default=[], max_length=32)
    """Requirements on labels."""
    match_fields: list[NodeRequirement] = Field(default=[], max_length=32)
    """Requirements on fields."""


class NodeSelector(Ruled):
    """Nodes that meet any of these terms."""

    node_selector_terms: list[NodeSelectorTerm] = Field(min_length=1, max_length=32)
    """Terms, one of which must be met."""


class PreferredNodes(Ruled):
    """Nodes that are preferred."""

    weight: Weight
    """How much it counts beside other preferences."""
    preference: NodeSelectorTerm
    """The nodes."""


class NodeAffinity(Ruled):
    """Nodes for the pods."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    """Nodes that they may be placed on."""
    preferred_during_scheduling_ignored_during_execution: list[PreferredNodes] = Field(default=[], max_length=32)
    """Nodes that they are rather placed on."""


class LabelRequirement(Ruled):
    """One requirement."""

    key: LabelKey
    """Label."""
    operator: LabelOperator
    """Comparison."""
    values: list[LabelValue] = Field(default=[], max_length=256)
    """None with Exists and DoesNotExist."""


class LabelSelector(Ruled):
    """Objects that meet all of these; without any, all objects."""

    match_labels: dict[LabelKey, LabelValue] = Field(default={}, max_length=32)
    """Labels that they have."""
    match_expressions: list[LabelRequirement] = Field(default=[], max_length=32)
    """Requirements on labels."""


class PodAffinityTerm(Ruled):
    """Pods, and what it is to be near them."""

    label_selector: LabelSelector | None = None
    """The pods; none without it."""
    match_label_keys: list[LabelKey] = Field(default=[], max_length=16)
    """Labels that they share with the pod."""
    mismatch_label_keys: list[LabelKey] = Field(default=[], max_length=16)
    """Labels in which they differ from the pod."""
    namespaces: list[Namespace] = Field(default=[], max_length=64)
    """Default: the pod's own, unless namespaceSelector is set."""
    namespace_selector: LabelSelector | None = None
    """Their namespaces, by label."""
    topology_key: LabelKey
    """Label that nodes share which are near each other."""


class PreferredPods(Ruled):
    """Pods that it is preferred to be near to or away from."""

    weight: Weight
    """How much it counts beside other preferences."""
    pod_affinity_term: PodAffinityTerm
    """The pods."""


class PodAffinity(Ruled):
    """Pods to be near to or away from."""

    required_during_scheduling_ignored_during_execution: list[PodAffinityTerm] = Field(default=[], max_length=32)
    """What must be so."""
    preferred_during_scheduling_ignored_during_execution: list[PreferredPods] = Field(default=[], max_length=32)
    """What is rather so."""


class Affinity(Ruled):
    """What the pods are drawn to and kept away from."""

    node_affinity: NodeAffinity | None = None
    """Nodes that they are drawn to."""
    pod_affinity: PodAffinity | None = None
    """Pods that they are drawn to."""
    pod_anti_affinity: PodAffinity | None = None
    """Pods that they are kept away from."""
