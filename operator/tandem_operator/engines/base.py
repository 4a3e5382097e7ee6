"""What the operator asks of an engine; all that is known of one is in the one file that answers."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tandem_contract.config import UpstreamType

from tandem_operator.engines.releases import Releases
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
HOMES: Final = {
    "HOME": CACHE_PATH,
    "USER": "tandem",
    "TMPDIR": "/tmp",  # noqa: S108 # an emptyDir of the pod's own
    "XDG_CACHE_HOME": f"{CACHE_PATH}/xdg",
    "HF_HOME": f"{CACHE_PATH}/huggingface",
}
"""The image's home is root's and its root file system may be read-only, so every cache is told where to live."""
HUB_ERRORS: Final = (
    r"(?i)repository ?not ?found|gated ?repo|is not a valid model identifier|is not a local folder"
    r"|401 client error|403 client error|429 client error|revision ?not ?found|no such file or directory: '/models"
    r"|offlinemodeisenabled|localentrynotfound"
)
"""What Hugging Face's libraries print when there is no such model, or none for us."""
ADDRESS: Final = {"fieldRef": {"fieldPath": "status.podIP"}}
"""The pod's own address, of whichever family: the one that probes and Services use."""
Environment = dict[str, str | dict[str, Any]]
"""Variables by name: a value, or where Kubernetes finds it."""
ORCHESTRATORS_FORGET_SECONDS: Final = 40
"""They forget a pod when its address has gone from DNS, whose answers are kept for up to 30 s."""


class EngineType(StrEnum):
    """Engines that there may be."""

    VLLM = "vllm"
    SGLANG = "sglang"
    TGI = "tgi"
    OLLAMA = "ollama"
    LLAMACPP = "llamacpp"
    EXTERNAL = "external"
    """A server that somebody else runs: the operator has no `Engine` for it."""


class Capability(StrEnum):
    """What not every engine can; the text is a line of the table in docs/engines.md."""

    TOOLS = "tool calls"
    JSON_SCHEMA = "`response_format: json_schema`"
    LOGPROBS = "`logprobs`"
    EMBEDDINGS = "`/v1/embeddings`, as `embeddingEngine`"
    RERANK = "`/v1/rerank`"
    RESPONSES = "`/v1/responses` of its own"
    ADAPTERS = "`model.adapters`: LoRA, without a restart"
    SIZING = "`gpus: auto`"
    TENSOR_PARALLEL = "`parallelism.tensor`"
    PIPELINE_PARALLEL = "`parallelism.pipeline`"
    DTYPE = "`dtype`"
    QUANTIZATION = "`quantization`"
    TOOL_PARSER = "`toolCalling.parser`"
    REASONING_PARSER = "`toolCalling.reasoningParser`"
    CHAT_TEMPLATE = "`toolCalling.chatTemplate`"
    PREFIX_CACHING = "`prefixCaching`"
    KV_OFFLOAD = "`kvOffload`"
    KV_OFFLOAD_CPU = "`kvOffload` with `accelerator: cpu`"
    SPECULATIVE_DECODING = "`speculativeDecoding`"
    STRUCTURED_OUTPUTS = "`structuredOutputs.backend`"
    MODEL_FILE = "`model.file`: one GGUF file"
    REVISION = "`hf://…@revision`"
    HF_TOKEN = "`model.credentials` for `hf://`"  # noqa: S105 # no password
    KEY = "a key of its own"
    METRICS = "metrics"
    ADMISSION = "refuses what would wait too long (`routing.maxWaiting`)"
    SLEEP = "sleep"


class SpeculativeMethod(StrEnum):
    """Where the tokens come from that an engine guesses and then has the model check all at once."""

    NGRAM = "ngram"
    DRAFT_MODEL = "draft-model"
    EAGLE3 = "eagle3"
    MTP = "mtp"


@dataclass(frozen=True)
class Probe:
    """How the kubelet asks; times in seconds."""

    path: str
    period: int
    timeout: int
    failures: int = 1


class Engine(ABC):
    """One kind of inference server, with one HTTP port, `names.ENGINE_PORT`, that speaks OpenAI's API."""

    name: ClassVar[str]
    """As its makers write it."""
    images: ClassVar[Mapping[str, str]]
    """Its release's image by accelerator."""
    capabilities: ClassVar[frozenset[Capability]]
    sources: ClassVar[tuple[str, ...]]
    """Schemes of `model.source` that it can be given."""
    rules: ClassVar[tuple[Rule, ...]]
    """What of its command line and environment `spec.engine` may not set."""
    field_options: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """By field of `spec.engine` that need not be set: options that `extraArgs` may have while it is not."""
    shortens_options: ClassVar[bool] = True
    """Whether the beginning of an option's name is enough."""
    memory_share: ClassVar[float] = 0.92
    """Share of an accelerator's memory that it takes unless its arguments say otherwise."""
    offloads_to_shared_memory: ClassVar[bool] = False
    """Whether `kvOffload` is in /dev/shm."""
    upstream_type: ClassVar[UpstreamType]
    """What the orchestrator takes it for."""
    command: ClassVar[tuple[str, ...]]
    pre_stop_seconds: ClassVar[int] = ORCHESTRATORS_FORGET_SECONDS
    """How long it serves on after its pod has left the Services, before it is asked to end."""
    drains: ClassVar[bool] = True
    """Whether it finishes its requests once it is asked to end; one that does not serves on for as long before."""
    starting: ClassVar[Probe]
    """Until it serves, as often as `spec.engine.startupTimeout` allows."""
    serving: ClassVar[Probe]
    living: ClassVar[Probe]
    loads_for_anyone: ClassVar[bool] = False
    """Whether one that loads adapters does so for whoever reaches it, without its key."""
    metrics_path: ClassVar[str | None] = "/metrics"
    metrics_need_key: ClassVar[bool] = False
    releases: ClassVar[Releases | None] = None
    """What is known of the flags of its releases."""
    model_errors: ClassVar[re.Pattern[str]]
    """What it prints when it cannot load its model."""

    @abstractmethod
    def arguments(
        self, service: "LLMService", component: "EngineComponent", files: "ModelFiles", image: str
    ) -> list[str]:
        """Return its arguments, those of the spec last."""

    def field_arguments(
        self,
        component: "EngineComponent",  # noqa: ARG002 # for subclasses
        files: "ModelFiles",  # noqa: ARG002
    ) -> dict[str, list[str]]:
        """Return what `arguments` has for fields that need not be set, by the names of those that are."""
        return {}

    def takes_priority(self, extra_args: Sequence[str]) -> bool:  # noqa: ARG002 # for subclasses
        """Return whether an engine with these arguments orders its requests by their `priority`."""
        return False

    @abstractmethod
    def environment(self, service: "LLMService", component: "EngineComponent") -> Environment:
        """Return its environment variables, but for what its model's source needs and the spec sets."""
