"""What builders need to know beyond the LLMService itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final, Self

from tandem_contract import __version__

from tandem_operator.api.component import INGESTION_QUEUED_API, SECURITY_CONTEXT_CONSTRAINTS_API, SERVICE_MONITOR_API
from tandem_operator.api.engine import EngineSpec
from tandem_operator.api.llmservice import LLMServiceSpec
from tandem_operator.engines import ENGINES
from tandem_operator.engines.base import CPU, EngineType

_VLLM: Final = ENGINES[EngineType.VLLM].images


@dataclass(frozen=True)
class Images:
    """Images of services that name none; those of engines are vLLM's, others have those of their releases."""

    operator: str = f"ghcr.io/tandem-dev/tandem-operator:{__version__}"
    """Of Jobs that look at models' files and fetch them."""
    orchestrator: str = f"ghcr.io/tandem-dev/tandem-orchestrator:{__version__}"
    orchestrator_full: str = f"{orchestrator}-full"
    """Of services with retrieval: it reads every kind of document."""
    engine_nvidia: str = _VLLM["nvidia.com/gpu"]
    engine_amd: str = _VLLM["amd.com/gpu"]
    engine_cpu: str = _VLLM[CPU]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read images from TANDEM_{OPERATOR,ORCHESTRATOR,ORCHESTRATOR_FULL,ENGINE_NVIDIA,ENGINE_AMD,ENGINE_CPU}_IMAGE.

        Who gives an orchestrator alone has it everywhere: a registry of one's own is not left for the release's.
        """
        given = {item.name: environment.get(f"TANDEM_{item.name.upper()}_IMAGE") for item in fields(cls)}
        given["orchestrator_full"] = given["orchestrator_full"] or given["orchestrator"]
        return cls(**{name: image for name, image in given.items() if image})

    def orchestrator_of(self, spec: LLMServiceSpec) -> str:
        """Return the image of a service's orchestrator."""
        retrieval = spec.orchestrator.retrieval or (spec.embedding_engine and spec.orchestrator.files_place)
        return spec.orchestrator.image or (self.orchestrator_full if retrieval else self.orchestrator)

    def engine(self, spec: EngineSpec) -> str:
        """Return the engine's image; the spec's rules see to it that there is one."""
        vllm = {"nvidia.com/gpu": self.engine_nvidia, "amd.com/gpu": self.engine_amd, CPU: self.engine_cpu}
        images = vllm if spec.type is EngineType.VLLM else ENGINES[spec.type].images
        return spec.image or images[spec.accelerator]


@dataclass(frozen=True)
class Platform:
    """The cluster that the objects are for."""

    capabilities: frozenset[str] = frozenset()
    """Optional APIs that exist, written group/version/Kind as in Helm's --api-versions."""
    images: Images = field(default_factory=Images)

    @property
    def has_service_monitors(self) -> bool:
        """Whether the Prometheus operator's API is installed."""
        return SERVICE_MONITOR_API in self.capabilities

    @property
    def tells_queued_files(self) -> bool:
        """Whether autoscalers can ask how many files wait to be read."""
        return INGESTION_QUEUED_API in self.capabilities

    @property
    def assigns_users(self) -> bool:
        """Whether the cluster gives pods their UID and groups, and refuses others, as OpenShift does."""
        return SECURITY_CONTEXT_CONSTRAINTS_API in self.capabilities
