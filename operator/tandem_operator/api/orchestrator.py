"""`spec.orchestrator`: the tier that speaks to clients and scales on CPU."""

import re
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from tandem_contract.config import OrchestratorSettings, Section

from tandem_operator.api.claim import AccessMode
from tandem_operator.api.files import FilesSpec
from tandem_operator.api.pod import ImageReference, PodSettings, Resources
from tandem_operator.api.replicas import ReplicaRange
from tandem_operator.api.retrieval import RetrievalSpec, WorkerRange
from tandem_operator.api.settings import broken_rules
from tandem_operator.api.state import StateSpec
from tandem_operator.rules import NOT_STORED, Rule, Ruled

_SETTINGS_ENV: Final = (
    "(?i:TANDEM_.*|VLLM_URL|VLLM_BASE_URL|VLLM_API_KEY|LLM_BACKEND|MODEL_ID|(STACK_)?API_KEYS|REQUIRE_API_KEY"
    "|DATABASE_(URL|POOL_SIZE|MAX_OVERFLOW)|REDIS_(URL|DEFAULT_TTL)|ENABLE_(RATE_LIMITING|METRICS|DB_MONITORING)"
    "|(GLOBAL|TENANT)_REQUESTS_PER_MINUTE|MAX_REQUEST_SIZE|JSON_LOGS|WORKERS|CORS_ORIGINS)"
)
"""A variable wins over the settings, unseen by their rules and by what the operator derives from them."""


class PolicyType(StrEnum):
    """What a scaling policy counts."""

    PODS = "Pods"
    PERCENT = "Percent"


class PolicySelect(StrEnum):
    """Which of several policies decides."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class ScalingPolicy(Ruled):
    """How much may change within a period."""

    type: PolicyType
    """Whether value is a number of pods or a percentage of them."""
    value: Annotated[int, Field(ge=1, le=1000)]
    """Most that may change."""
    period_seconds: Annotated[int, Field(ge=1, le=1800)]
    """Period in seconds."""


class ScalingRules(Ruled):
    """Scaling in one direction."""

    stabilization_window_seconds: Annotated[int, Field(ge=0, le=3600)] | None = None
    """How far back recommendations are considered, so that the count does not flap."""
    select_policy: PolicySelect = PolicySelect.MAX
    """Which policy decides."""
    policies: list[ScalingPolicy] = Field(default=[], max_length=8)
    """Bounds on the change; none means Kubernetes' defaults."""


class ScalingBehavior(Ruled):
    """Speed of scaling, as in HorizontalPodAutoscaler."""

    scale_up: ScalingRules = ScalingRules(
        stabilization_window_seconds=0,
        policies=[
            ScalingPolicy(type=PolicyType.PERCENT, value=100, period_seconds=15),
            ScalingPolicy(type=PolicyType.PODS, value=4, period_seconds=15),
        ],
    )
    """Adding pods."""
    scale_down: ScalingRules = ScalingRules(
        stabilization_window_seconds=300,
        policies=[ScalingPolicy(type=PolicyType.PERCENT, value=50, period_seconds=60)],
    )
    """Removing pods."""


class Autoscaling(Ruled):
    """When the orchestrator grows and shrinks."""

    cpu_utilization: Annotated[int, Field(ge=1, le=1000)] = 70
    """Average CPU use to aim at, in percent of the pods' CPU request."""
    memory_utilization: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Average memory use to aim at, in percent of the pods' memory request. Default: memory is not considered."""
    behavior: ScalingBehavior = ScalingBehavior()
    """Speed of scaling."""


def _targets_have_requests(orchestrator: "OrchestratorSpec") -> bool:
    if not (orchestrator.replicas.is_wide or (orchestrator.workers and orchestrator.workers.is_wide)):
        return True
    requested = {*orchestrator.resources.requests, *orchestrator.resources.limits}
    needed = {"cpu"} | ({"memory"} if orchestrator.autoscaling.memory_utilization else set())
    return needed <= requested


def _one_writes_the_file(orchestrator: "OrchestratorSpec") -> bool:
    return orchestrator.state is None or orchestrator.state.sqlite is None or orchestrator.replicas.max == 1


def _one_database(orchestrator: "OrchestratorSpec") -> bool:
    return orchestrator.state is None or not orchestrator.config.database.model_fields_set & {"url", "url_from"}


def _database_keeps_keys(orchestrator: "OrchestratorSpec") -> bool:
    return orchestrator.config.keys.admin is None or orchestrator.has_database


def _database_knows_files(orchestrator: "OrchestratorSpec") -> bool:
    return orchestrator.files is None or orchestrator.has_database


def _files_have_a_place(orchestrator: "OrchestratorSpec") -> bool:
    return orchestrator.files is None or orchestrator.files_place is not None


def _documents_are_files(orchestrator: "OrchestratorSpec") -> bool:
    return orchestrator.retrieval is None or orchestrator.files_place is not None


def _all_reach_the_files(orchestrator: "OrchestratorSpec") -> bool:
    claim = orchestrator.files.claim if orchestrator.files else None
    one_pod = orchestrator.replicas.max == 1 and orchestrator.workers is None
    return claim is None or one_pod or AccessMode.READ_WRITE_MANY in claim.access_modes


def _workers_reach_the_database(orchestrator: "OrchestratorSpec") -> bool:
    return orchestrator.workers is None or orchestrator.state is None or orchestrator.state.sqlite is None


_CONFIGURED: Final = "self.?config.database.url.hasValue() || self.?config.database.urlFrom.hasValue()"
_SQLITE: Final = "self.?state.sqlite.hasValue()"
_WORKERS: Final = "self.?retrieval.workers.hasValue()"
_FILES_PLACE: Final = (
    f"self.?files.claim.hasValue() || self.?files.claimName.hasValue() || self.?files.s3.hasValue() || {_SQLITE}"
)


class FilesPlace(StrEnum):
    """Where the bytes of files are."""

    VOLUME = "volume"
    BUCKET = "bucket"
    STATE = "state"


class OrchestratorSpec(PodSettings):
    """The orchestrator's image, scale and settings."""

    rules: ClassVar[tuple[Rule, ...]] = (
        *PodSettings.rules,
        Rule(
            cel="(self.replicas.min >= self.replicas.max"
            " && self.?retrieval.workers.replicas.optMap(r, r.min >= r.max).orValue(true))"
            " || (('cpu' in self.resources.requests || 'cpu' in self.resources.limits)"
            " && (!has(self.autoscaling.memoryUtilization)"
            " || 'memory' in self.resources.requests || 'memory' in self.resources.limits))",
            holds=_targets_have_requests,
            message="orchestrator.resources.requests needs cpu (and memory with autoscaling.memoryUtilization) "
            "for the autoscaler; add it or set replicas.min equal to replicas.max",
            field="resources",
        ),
        Rule(
            cel=f"!self.env.exists(e, e.name.matches('^{_SETTINGS_ENV}$'))",
            holds=lambda o: not any(re.fullmatch(_SETTINGS_ENV, env.name) for env in o.env),
            message="orchestrator.env must not hold settings (TANDEM_…, VLLM_URL, DATABASE_URL, WORKERS and the like): "
            "write them in orchestrator.config, naming Secrets for what is secret; the operator sets the engine's",
            field="env",
        ),
        Rule(
            cel=f"!{_SQLITE} || self.replicas.max == 1",
            holds=_one_writes_the_file,
            message="orchestrator.state.sqlite needs orchestrator.replicas {min: 1, max: 1}, as one pod alone writes "
            "its file; set that, or take state.postgres for more pods",
            field="replicas",
        ),
        Rule(
            cel=f"!has(self.state) || !({_CONFIGURED})",
            holds=_one_database,
            message="orchestrator.state says which database there is; leave url and urlFrom of "
            "orchestrator.config.database out, or state",
            field="state",
        ),
        Rule(
            cel=f"!self.?config.keys.admin.hasValue() || has(self.state) || {_CONFIGURED}",
            holds=_database_keeps_keys,
            message="orchestrator.config.keys.admin needs a database in orchestrator.state: "
            "what the admin API creates must outlive a pod and be known to all of them",
            field="config",
        ),
        Rule(
            cel=f"!has(self.files) || has(self.state) || {_CONFIGURED}",
            holds=_database_knows_files,
            message="orchestrator.files needs a database in orchestrator.state: "
            "what is known of files must outlive a pod and be known to all of them",
            field="files",
        ),
        Rule(
            cel=f"!has(self.files) || {_FILES_PLACE}",
            holds=_files_have_a_place,
            message="orchestrator.files needs claim, claimName or s3; with state.sqlite alone they are on its volume",
            field="files",
        ),
        Rule(
            cel=f"!self.?files.claim.hasValue() || (self.replicas.max == 1 && !{_WORKERS})"
            " || (has(self.files.claim.accessModes) && 'ReadWriteMany' in self.files.claim.accessModes)",
            holds=_all_reach_the_files,
            message="orchestrator.files.claim needs accessModes [ReadWriteMany] for more than one pod, and a "
            "StorageClass that has it; write that, take files.s3, or set orchestrator.replicas {min: 1, max: 1}",
            field="files",
        ),
        Rule(
            cel=f"!has(self.retrieval) || {_FILES_PLACE}",
            holds=_documents_are_files,
            message="orchestrator.retrieval needs orchestrator.files with claim, claimName or s3: "
            "what is searched are files",
            field="retrieval",
        ),
        Rule(
            cel=f"!{_WORKERS} || !{_SQLITE}",
            holds=_workers_reach_the_database,
            message="orchestrator.retrieval.workers needs state.postgres, as other pods cannot reach state.sqlite; "
            "take that, or leave workers out",
            field="retrieval",
        ),
    )

    image: ImageReference | None = None
    """Orchestrator image. Default: the release that belongs to the operator's."""
    replicas: ReplicaRange = ReplicaRange()
    """Fewest and most pods."""
    autoscaling: Autoscaling = Autoscaling()
    """When the number of pods changes between replicas.min and replicas.max."""
    resources: Resources = Resources(requests={"cpu": "250m", "memory": "256Mi"}, limits={"memory": "512Mi"})
    """CPU and memory of a pod."""
    state: StateSpec | None = None
    """Database of keys, budgets, responses and what else outlives a pod. Default: none, each pod for itself; then
    responses are only kept where config.responses.store, or a request, says so."""
    files: FilesSpec | None = Field(default=None, json_schema_extra=NOT_STORED)
    """Where uploaded files are. Default: with state.sqlite on its volume, otherwise there are none."""
    retrieval: RetrievalSpec | None = Field(default=None, json_schema_extra=NOT_STORED)
    """Vector stores, and how documents become searchable."""
    config: Annotated[OrchestratorSettings, Field(json_schema_extra=NOT_STORED)] = OrchestratorSettings()
    """Settings of the orchestrator, as in its configuration file."""

    @field_validator("config", "state", "files")
    @classmethod
    def _fit_a_pod[Part: Section | None](cls, part: Part) -> Part:
        if part is not None and (broken := broken_rules(part)):
            raise PydanticCustomError("rule", "{text}", {"text": "; ".join(broken)})
        return part

    @property
    def workers(self) -> WorkerRange | None:
        """How many pods read documents and do nothing else; None where those that serve read them."""
        return self.retrieval.workers.replicas if self.retrieval and self.retrieval.workers else None

    @property
    def has_database(self) -> bool:
        """Whether there is a database that outlives a pod."""
        return self.state is not None or bool(self.config.database.model_fields_set & {"url", "url_from"})

    @property
    def files_place(self) -> FilesPlace | None:
        """Where the bytes of files are; None where there are no files."""
        if self.files and self.files.has_volume:
            return FilesPlace.VOLUME
        if self.files and self.files.s3:
            return FilesPlace.BUCKET
        return FilesPlace.STATE if self.state and self.state.sqlite else None
