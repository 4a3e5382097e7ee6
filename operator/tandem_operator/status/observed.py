"""One look at a service: its children, its pods and what could not be written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from tandem_operator.api.component import Reference
from tandem_operator.api.fetch_progress import FetchProgress
from tandem_operator.api.hang import Hang
from tandem_operator.api.rollout import RolloutStatus
from tandem_operator.api.tool_calling import Verification
from tandem_operator.sizing.decision import Decision

Object = Mapping[str, Any]

NAME_TAKEN: Final = "NameTaken"
"""Reason of a problem: a child's name is somebody else's, so that nothing at all is written."""
FIELDS_CONTESTED: Final = "FieldsContested"
"""Reason of a problem: somebody changes again what was put right."""


@dataclass(frozen=True)
class Problem:
    """A child that could not be brought to what is wanted."""

    kind: str
    name: str
    reason: str
    message: str
    terminal: bool = True
    """Whether it needs a person; otherwise the operator tries again."""
    degrades: bool = False
    """Whether the service serves all the same, so that only Degraded tells about it."""


@dataclass(frozen=True)
class Observed:
    """Everything that the status is computed from."""

    now: datetime
    children: Mapping[Reference, Object] = field(default_factory=dict)
    """Live children by kind and name."""
    pods: Sequence[Object] = ()
    problems: Sequence[Problem] = ()
    capabilities: frozenset[str] = frozenset()
    """Optional APIs that the cluster has."""
    secrets: Mapping[str, frozenset[str]] | None = None
    """Keys of the Secrets that the settings name and that exist; None while nobody looked."""
    config_maps: Mapping[str, frozenset[str]] | None = None
    """The same of ConfigMaps."""
    degraded: Sequence[str] | None = None
    """Lines of what the orchestrators themselves say is degraded; None while none was heard."""
    limitations: Sequence[str] = ()
    """Lines of what they say they cannot do though nothing is amiss."""
    tool_calling: Sequence[Verification] = ()
    """What one of them has found of the replicas that are to call tools."""
    migration: Reference | None = None
    """The Job that the orchestrator's roll-out waits for; None when it waits for none."""
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    """How many accelerators each engine gets that is sized, by its tier."""
    kv_tokens: Mapping[str, int] = field(default_factory=dict)
    """By tier, for how many tokens an engine says that its cache has room."""
    fetches: Mapping[str, Reference] = field(default_factory=dict)
    """The Jobs that engines wait for, which fetch their models, by tier."""
    progress: Mapping[str, FetchProgress] = field(default_factory=dict)
    """How far these are, by the uids of their pods."""
    credentials: frozenset[str] | None = None
    """Those Secrets that exist of the ones that open the models which are waited for; None while nobody looked."""
    rollout: RolloutStatus | None = None
    """How far the main engine's roll-out is; None where it is somebody else's."""
    hangs: Sequence[Hang] = ()
    """Pods of its engines that hang."""
    claim_event: str | None = None
    """What Kubernetes said last about a claim that is not bound; None while it said nothing, or nobody looked."""
