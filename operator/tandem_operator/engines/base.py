"""What the operator asks of an engine; all that is known of one is in the one file that answers."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tandem_contract.config import UpstreamType

from tandem_operator.rules import Rule

if TYPE_CHECKING:
    from tandem_operator.api.component import EngineComponent
    from tandem_operator.api.llmservice import LLMService
    from tandem_operator.manifests.engine.model_files import ModelFiles

CPU: Final = "cpu"
CACHE_PATH: Final = "/cache"
"""Where an engine may keep what it downloads and compiles."""
TEMPLATE_PATH: Final = "/etc/tandem-engine/chat-template.jinja"
"""Where the chat template of the spec is, if it is text."""


class EngineType(StrEnum):
    """Engines that Tandem runs."""

    VLLM = "vllm"


@dataclass(frozen=True)
class Probe:
    """How the kubelet asks; times in seconds."""

    path: str
    period: int
    timeout: int
    failures: int = 1


class Engine(ABC):
    """One kind of inference server, with one HTTP port, `names.ENGINE_PORT`, that speaks OpenAI's API."""

    images: ClassVar[Mapping[str, str]]
    """Its release's image by accelerator."""
    rules: ClassVar[tuple[Rule, ...]]
    """What of its command line and environment `spec.engine` may not set."""
    upstream_type: ClassVar[UpstreamType]
    """What the orchestrator takes it for."""
    command: ClassVar[tuple[str, ...]]
    pre_stop_seconds: ClassVar[int]
    """How long it serves on after its pod has left the Services, before it is asked to end."""
    starting: ClassVar[Probe]
    """Until it serves, as often as `spec.engine.startupTimeout` allows."""
    serving: ClassVar[Probe]
    living: ClassVar[Probe]
    metrics_path: ClassVar[str] = "/metrics"
    model_errors: ClassVar[re.Pattern[str]]
    """What it prints when it cannot load its model."""

    @abstractmethod
    def arguments(self, service: "LLMService", component: "EngineComponent", files: "ModelFiles") -> list[str]:
        """Return its arguments, those of the spec last."""

    def takes_priority(self, extra_args: Sequence[str]) -> bool:  # noqa: ARG002 # for subclasses
        """Return whether an engine with these arguments orders its requests by their `priority`."""
        return False

    @abstractmethod
    def environment(self, service: "LLMService", component: "EngineComponent") -> list[dict[str, Any]]:
        """Return its environment variables, but for what its model's source needs and the spec sets."""
