"""`spec.engine`: the inference engine that holds the accelerator."""

import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, StringConstraints, WithJsonSchema, model_validator
from pydantic.alias_generators import to_snake
from pydantic_core import PydanticCustomError

from tandem_operator.api.external import ExternalSpec
from tandem_operator.api.pod import ImageReference, PodBasics, PodSettings, Resources
from tandem_operator.api.quantity import Quantity, number, seconds
from tandem_operator.api.source import HuggingFace
from tandem_operator.api.speculative_decoding import DraftModelSpec, SpeculativeDecoding
from tandem_operator.engines import ENGINES, owned, types_with
from tandem_operator.engines.base import CPU, Capability, Engine, EngineType
from tandem_operator.rules import NOT_STORED, Rule, Ruled

_DURATION: Final = r"^([0-9]{1,5}(h|m|s))+$"
_LONGEST_STARTUP: Final = 24 * 3600
_MOST_GPUS: Final = 64
_DEFAULT_PARSER: Final = "hermes"
_LEAST_OFFLOAD: Final = 2**30
"""Bytes for each accelerator: SGLang takes whole gigabytes."""
_NO_DRAFT: Final = "!has(self.speculativeDecoding) || !has(self.speculativeDecoding.model)"
_DRAFT: Final = "self.speculativeDecoding.model"
_DRAFT_FILES: Final = types_with(Capability.MODEL_FILE, Capability.SPECULATIVE_DECODING)
_DRAFT_REVISIONS: Final = types_with(Capability.REVISION, Capability.SPECULATIVE_DECODING)

Accelerator = Annotated[
    str,
    StringConstraints(pattern=r"^(cpu|[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9][-A-Za-z0-9_.]*)$", max_length=253),
]
Gpus = Annotated[int, Field(ge=0, le=_MOST_GPUS)]
AUTO: Final = "auto"
_UNSTATED: Final = f"!has(self.gpus) || self.gpus == '{AUTO}'"
GpusOrAuto = Annotated[
    Gpus | Literal["auto"],
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "minimum": 0,
            "maximum": _MOST_GPUS,
            "pattern": f"^{AUTO}$",
        }
    ),
]
EngineReplicas = Annotated[int, Field(ge=1, le=64)]


class DType(StrEnum):
    """Number format of weights and activations."""

    AUTO = "auto"
    HALF = "half"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT = "float"
    FLOAT32 = "float32"


class Parallelism(Ruled):
    """How one replica spreads over its accelerators."""

    tensor: Annotated[int, Field(ge=1, le=64)] | None = None
    """Accelerators that share each layer. Default: engine.gpus divided by pipeline; without engine.gpus as sizing
    finds."""
    pipeline: Annotated[int, Field(ge=1, le=64)] = 1
    """Stages that the layers are divided into."""

    @property
    def accelerators(self) -> int:
        """Accelerators that it takes at least."""
        return (self.tensor or 1) * self.pipeline


class ToolCalling(Ruled):
    """How the engine recognises that the model asks for a tool."""

    enabled: bool = True
    """Whether the engine turns the model's tool calls into OpenAI's form."""
    parser: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]+$", max_length=64)] = _DEFAULT_PARSER
    """Tool-call parser of vLLM (hermes for Qwen and Hermes models, llama3_json, mistral, deepseek_v3, …) or SGLang
    (hermes, qwen25, llama3, mistral, deepseekv3, …); other engines find out by themselves."""
    reasoning_parser: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]+$", max_length=64)] | None = None
    """Reasoning parser, for models that think aloud: of vLLM deepseek_r1, qwen3, …, of SGLang deepseek-r1, qwen3, …"""
    chat_template: Annotated[str, Field(min_length=1, max_length=65_536)] | None = None
    """Chat template in place of the model's own: Jinja text, or (a text without braces) the path of a template in
    the engine's image. Text is kept in ConfigMap NAME-engine."""

    @property
    def inline_chat_template(self) -> str | None:
        """The chat template, if the spec holds it as text; a text without braces is a path in the image."""
        return self.chat_template if self.chat_template and "{" in self.chat_template else None


class KvOffload(Ruled):
    """Memory of the node in which an engine keeps what requests may share, and its accelerators have no room for."""

    size: Quantity
    """Most that a replica keeps, for all its accelerators together: 1Gi or more for each. It comes on top of the
    memory in resources, as request and, where there is one, limit."""

    @property
    def size_bytes(self) -> int:
        """The same in bytes."""
        return int(number(self.size))


class StructuredOutputsBackend(StrEnum):
    """Libraries that hold a model's text to a schema."""

    XGRAMMAR = "xgrammar"
    GUIDANCE = "guidance"
    OUTLINES = "outlines"


class StructuredOutputs(Ruled):
    """How the engine holds a text to a JSON schema."""

    backend: StructuredOutputsBackend
    """Library that does it; guidance is llguidance."""


class ModelCache(Ruled):
    """Where an engine keeps what it downloads and compiles: an emptyDir on the node's disk, of each pod its own."""

    size_limit: Quantity | None = None
    """Most that it may hold; a pod with more is evicted. It is the container's request for ephemeral-storage, too,
    unless resources names that. Default: no bound and no request."""


class PodDisruptionBudget(Ruled):
    """What drains of nodes may take of the engine."""

    max_unavailable: Annotated[int, Field(ge=0, le=64)] = 1
    """Replicas that may be away for a drain at once; with 0 no drain takes one that serves."""


def _gpus_fit_accelerator(engine: "EngineBasics") -> bool:
    gpus: int | str | None = engine.gpus
    return gpus is None or (gpus == 0) == (engine.accelerator == CPU)


def _parallelism_fits(engine: "EngineSpec") -> bool:
    if engine.accelerator == CPU:
        return True
    parallelism, gpus = engine.parallelism, engine.stated_gpus
    if gpus is None:
        return parallelism.accelerators <= _MOST_GPUS
    return gpus == parallelism.accelerators if parallelism.tensor else gpus % parallelism.pipeline == 0


def _offload_fits(engine: "EngineSpec") -> bool:
    return engine.kv_offload is None or engine.kv_offload.size_bytes >= max(1, engine.gpu_count) * _LEAST_OFFLOAD


def _draft_has_revision(engine: "EngineSpec") -> bool:
    source = draft.parsed_source if (draft := engine.draft) else None
    return isinstance(source, HuggingFace) and source.revision is not None


def _draft_file_fits(engine: "EngineSpec") -> bool:
    if (draft := engine.draft) is None:
        return True
    downloads = isinstance(draft.parsed_source, HuggingFace)
    return (draft.file is not None) == (engine.type in _DRAFT_FILES) or (downloads and draft.file is None)


def _timeout_in_range(engine: "EngineBasics") -> bool:
    text = engine.startup_timeout
    return bool(re.match(_DURATION, text)) and 60 <= seconds(text) <= _LONGEST_STARTUP  # noqa: PLR2004


def _asks_for_pods(engine: "EngineSpec") -> bool:
    return bool(engine.image or engine.gpus is not None or engine.replicas != 1 or engine.extra_args or engine.env)


def source_rule(cel: str, engine_of: Callable[[Any], "EngineBasics"], field: str) -> Rule:
    """Return the rule for a section with a model that its engine, whose type is at `cel`, loads or has already."""

    def holds(spec: Any) -> bool:
        source: str | None = spec.model.source
        if engine_of(spec).type is EngineType.EXTERNAL:
            return source is None and spec.model.name is not None
        return source is not None

    return Rule(
        cel=f"{cel} == '{EngineType.EXTERNAL}' ? has(self.model.name) && !has(self.model.source)"
        " : has(self.model.source)",
        holds=holds,
        message="model.source is needed, for example hf://Qwen/Qwen2.5-0.5B-Instruct; with type external it is "
        "model.name instead, as the server calls its model",
        field=field,
    )


def rules_of(kind: EngineType, engine: Engine) -> Iterator[Rule]:
    """Yield the rules for specs with this kind of engine: an image, its release's or their own, and what it asks."""
    *others, last = engine.images
    accelerators = f"{', '.join(others)} and {last}" if others else last
    needs_image = Rule(
        cel=f"has(self.image) || self.accelerator in {[*engine.images]}",
        holds=lambda spec: spec.image is not None or spec.accelerator in engine.images,
        message=f"engine.image is needed for this accelerator: {engine.name} has a default for {accelerators} only",
        field="image",
    )
    for rule in (needs_image, *engine.rules):
        yield rule.where(f"self.type == '{kind}'", lambda spec: spec.type == kind)


def needs(field: str, capability: Capability, cel: str, unused: Callable[[Any], bool]) -> Rule:
    """Return the rule that only engines with a capability are asked for it; `cel` and `unused` say: it is not."""
    able = types_with(capability)
    return Rule(
        cel=f"{cel} || self.type in {able}",
        holds=lambda spec: unused(spec) or spec.type in able,
        message=f"engine.{field} is for engine.type {', '.join(able)}; leave it out with others",
        field=re.split("[. ]", field)[0],
    )


class EngineBasics(PodBasics):
    """What a spec may say of any engine: its image, accelerator and arguments."""

    rules: ClassVar[tuple[Rule, ...]] = (
        *PodBasics.rules,
        Rule(
            cel="!has(self.gpus) || (self.gpus == 0) == (self.accelerator == 'cpu')",
            holds=_gpus_fit_accelerator,
            message="engine.gpus must be at least 1 with a GPU accelerator and 0 with accelerator cpu; "
            "leave it out for the default",
            field="gpus",
        ),
        Rule(
            cel=f"self.startupTimeout.matches('{_DURATION}') && duration(self.startupTimeout) >= duration('1m')"
            " && duration(self.startupTimeout) <= duration('24h')",
            holds=_timeout_in_range,
            message="engine.startupTimeout must be a duration between 1m and 24h, such as 45m or 1h30m",
            field="startupTimeout",
        ),
        *(rule for kind, engine in ENGINES.items() for rule in rules_of(kind, engine)),
        Rule(
            cel="self.accelerator == 'cpu' || !(self.accelerator in self.resources.requests"
            " || self.accelerator in self.resources.limits)",
            holds=lambda engine: (
                engine.accelerator == CPU
                or engine.accelerator not in {*engine.resources.requests, *engine.resources.limits}
            ),
            message="engine.resources must not name the accelerator; set engine.gpus",
            field="resources",
        ),
    )

    type: EngineType = EngineType.VLLM
    """Inference engine; external: a server with OpenAI's API that is there already."""
    image: ImageReference | None = None
    """Engine image. Default: the engine's release image for the accelerator."""
    accelerator: Accelerator = "nvidia.com/gpu"
    """Extended resource that a replica asks for, such as nvidia.com/gpu or amd.com/gpu, or cpu for none."""
    gpus: Gpus | None = None
    """Accelerators for each replica. Default: 1; with accelerator cpu 0."""
    replicas: EngineReplicas = 1
    """Engine pods."""
    resources: Resources = Resources(requests={"cpu": "2", "memory": "8Gi"})
    """CPU and memory of a replica; accelerators are set by gpus."""
    extra_args: list[Annotated[str, Field(min_length=1, max_length=4096)]] = Field(default=[], max_length=64)
    """Further arguments of the engine, placed last."""
    startup_timeout: Annotated[str, Field(min_length=2, max_length=16)] = "30m"
    """How long a replica may take from its container's start until it serves."""
    runtime_class_name: (
        Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)] | None
    ) = None
    """RuntimeClass of the pods, such as nvidia."""


class EngineSpec(EngineBasics, PodSettings):
    """The engine's image, accelerator and arguments."""

    rules: ClassVar[tuple[Rule, ...]] = (
        *EngineBasics.rules,
        Rule(
            cel=f"self.accelerator == 'cpu' || ({_UNSTATED}"
            " ? (has(self.parallelism.tensor) ? self.parallelism.tensor : 1) * self.parallelism.pipeline"
            f" <= {_MOST_GPUS} : has(self.parallelism.tensor)"
            " ? self.parallelism.tensor * self.parallelism.pipeline == self.gpus"
            " : self.gpus % self.parallelism.pipeline == 0)",
            holds=_parallelism_fits,
            message="engine.parallelism.tensor * engine.parallelism.pipeline must be engine.gpus, "
            f"and at most {_MOST_GPUS}; leave one of them out to have it follow from the others",
            field="parallelism",
        ),
        needs(
            "parallelism.tensor",
            Capability.TENSOR_PARALLEL,
            "!has(self.parallelism.tensor)",
            lambda engine: engine.parallelism.tensor is None,
        ),
        needs(
            "parallelism.pipeline",
            Capability.PIPELINE_PARALLEL,
            "self.parallelism.pipeline == 1",
            lambda engine: engine.parallelism.pipeline == 1,
        ),
        needs("dtype", Capability.DTYPE, "self.dtype == 'auto'", lambda engine: engine.dtype is DType.AUTO),
        needs(
            "quantization",
            Capability.QUANTIZATION,
            "!has(self.quantization)",
            lambda engine: engine.quantization is None,
        ),
        needs(
            "toolCalling.parser",
            Capability.TOOL_PARSER,
            f"self.toolCalling.parser == '{_DEFAULT_PARSER}'",
            lambda engine: engine.tool_calling.parser == _DEFAULT_PARSER,
        ),
        needs(
            "toolCalling.reasoningParser",
            Capability.REASONING_PARSER,
            "!has(self.toolCalling.reasoningParser)",
            lambda engine: engine.tool_calling.reasoning_parser is None,
        ),
        needs(
            "toolCalling.chatTemplate",
            Capability.CHAT_TEMPLATE,
            "!has(self.toolCalling.chatTemplate)",
            lambda engine: engine.tool_calling.chat_template is None,
        ),
        needs(
            "prefixCaching",
            Capability.PREFIX_CACHING,
            "!has(self.prefixCaching)",
            lambda engine: engine.prefix_caching is None,
        ),
        needs("kvOffload", Capability.KV_OFFLOAD, "!has(self.kvOffload)", lambda engine: engine.kv_offload is None),
        needs(
            "kvOffload with accelerator cpu",
            Capability.KV_OFFLOAD_CPU,
            "!has(self.kvOffload) || self.accelerator != 'cpu'",
            lambda engine: engine.kv_offload is None or engine.accelerator != CPU,
        ),
        Rule(
            cel="!has(self.kvOffload) || !has(self.prefixCaching) || self.prefixCaching",
            holds=lambda engine: engine.kv_offload is None or engine.prefix_caching is not False,
            message="engine.kvOffload keeps what requests may share, which they may not with prefixCaching: false; "
            "leave one of the two out",
            field="kvOffload",
        ),
        Rule(
            cel="!has(self.kvOffload) || quantity(string(self.kvOffload.size)).asApproximateFloat() >="
            f" {_LEAST_OFFLOAD}.0 * double(self.accelerator == 'cpu' ? 1 : !({_UNSTATED}) ? self.gpus"
            " : (has(self.parallelism.tensor) ? self.parallelism.tensor : 1) * self.parallelism.pipeline)",
            holds=_offload_fits,
            message="engine.kvOffload.size must be at least 1Gi for each accelerator of a replica",
            field="kvOffload",
        ),
        needs(
            "speculativeDecoding",
            Capability.SPECULATIVE_DECODING,
            "!has(self.speculativeDecoding)",
            lambda engine: engine.speculative_decoding is None,
        ),
        Rule(
            cel=f"{_NO_DRAFT} || has({_DRAFT}.file) == (self.type in {_DRAFT_FILES})"
            f" || {_DRAFT}.source.startsWith('hf://') && !has({_DRAFT}.file)",
            holds=_draft_file_fits,
            message="engine.speculativeDecoding.model.file names the GGUF file for engine.type "
            f"{', '.join(_DRAFT_FILES)}, in a pvc:// or oci:// source always; leave it out with others",
            field="speculativeDecoding",
        ),
        Rule(
            cel=f"{_NO_DRAFT} || !{_DRAFT}.source.matches('^hf://.*@') || self.type in {_DRAFT_REVISIONS}",
            holds=lambda engine: engine.type in _DRAFT_REVISIONS or not _draft_has_revision(engine),
            message="engine.speculativeDecoding.model.source may have @revision with engine.type "
            f"{', '.join(_DRAFT_REVISIONS)}; leave it out with others",
            field="speculativeDecoding",
        ),
        needs(
            "structuredOutputs.backend",
            Capability.STRUCTURED_OUTPUTS,
            "!has(self.structuredOutputs)",
            lambda engine: engine.structured_outputs is None,
        ),
        Rule(
            cel="(self.type == 'external') == has(self.external)",
            holds=lambda engine: (engine.type is EngineType.EXTERNAL) == (engine.external is not None),
            message="engine.external says where the server of engine.type external is; write both, or neither",
            field="external",
        ),
        Rule(
            cel="self.type != 'external' || (!has(self.image) && !has(self.gpus) && self.replicas == 1"
            " && self.extraArgs.size() == 0 && self.env.size() == 0)",
            holds=lambda engine: engine.type is not EngineType.EXTERNAL or not _asks_for_pods(engine),
            message="engine.type external has no pods here, for which engine.image, gpus, replicas, extraArgs and env "
            "would be; leave them out",
            field="type",
        ),
    )

    gpus: GpusOrAuto | None = None  # type: ignore[assignment] # the one field that says more here than in its base
    """Accelerators for each replica, or auto: as many as the model needs. Default: parallelism.tensor times
    parallelism.pipeline where tensor is set, else as auto, or 1 where the model cannot be looked at; with accelerator
    cpu 0."""
    gpu_memory: Quantity | None = None
    """Memory of one accelerator as its driver tells it, such as 79Gi, which sizing goes by. Default: that of the nodes
    which nodeSelector leaves, the smallest."""
    parallelism: Parallelism = Parallelism()
    """How a replica spreads over its accelerators."""
    replicas: EngineReplicas = 1
    """Engine pods. `kubectl scale llm` sets it."""
    dtype: DType = DType.AUTO
    """Number format of weights and activations."""
    max_model_len: Annotated[int, Field(ge=1, le=16_777_216)] | None = None
    """Longest context in tokens. Default: the model's own."""
    quantization: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]+$", max_length=64)] | None = None
    """The engine's quantization method, such as awq or fp8. Default: what the model's files say."""
    max_num_seqs: Annotated[int, Field(ge=1, le=65_536)] | None = None
    """Requests that run at once in one replica. Default: the engine's own."""
    tool_calling: ToolCalling = ToolCalling()
    """Tool calls and reasoning."""
    prefix_caching: bool | None = None
    """Whether requests that begin alike share what the engine has computed of it. Default: the engine's own, which is
    true for most models."""
    kv_offload: KvOffload | None = None
    """Memory beside the accelerators' for what requests share. Default: none, and with llamacpp 8Gi."""
    speculative_decoding: SpeculativeDecoding | None = None
    """Guessing of tokens. Default: none."""
    structured_outputs: StructuredOutputs | None = None
    """JSON schemas. Default: the engine's own choice."""
    shared_memory: Quantity = "1Gi"
    """Size of /dev/shm; it counts as memory of the pod."""
    model_cache: Annotated[ModelCache, Field(json_schema_extra=NOT_STORED)] = ModelCache()
    """Disk space for downloaded models and compiled kernels."""
    pod_disruption_budget: Annotated[PodDisruptionBudget, Field(json_schema_extra=NOT_STORED)] = PodDisruptionBudget()
    """What drains of nodes may take."""
    external: ExternalSpec | None = None
    """Where the server of type external is; what is said of pods and accelerators has no use then."""

    @model_validator(mode="after")
    def _no_option_repeats_a_field(self) -> Self:
        """Refuse what the API server lets pass: the definition has no room for every option."""
        if (engine := ENGINES.get(self.type)) is None:
            return self
        for field, options in engine.field_options.items():
            found = owned.repeated(self.extra_args, options, shortened=engine.shortens_options)
            if found and getattr(self, to_snake(field)) is not None:
                text = f"extraArgs must not have {', '.join(found)}, which {field} sets; leave one of the two out"
                raise PydanticCustomError("rule", "{text}", {"text": text})
        return self

    @property
    def gpu_count(self) -> int:
        """Accelerators for each replica, the default filled in."""
        if self.accelerator == CPU or self.external:
            return 0
        return self.parallelism.accelerators if self.stated_gpus is None else self.stated_gpus

    @property
    def stated_gpus(self) -> int | None:
        """Accelerators for each replica that the spec itself states."""
        return self.gpus if isinstance(self.gpus, int) else None

    @property
    def draft(self) -> DraftModelSpec | None:
        """The model that guesses tokens."""
        return self.speculative_decoding.model if self.speculative_decoding else None

    @property
    def tensor_parallel(self) -> int:
        """Accelerators that share each layer, the default filled in."""
        return self.parallelism.tensor or max(1, self.gpu_count // self.parallelism.pipeline)

    @property
    def startup_seconds(self) -> int:
        """Startup budget in seconds."""
        return seconds(self.startup_timeout)
