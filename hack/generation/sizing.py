"""What tandem-operator size says of fourteen models, beside what others published and measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tandem_operator.sizing.gpu import named
from tandem_operator.sizing.known import known
from tandem_operator.sizing.plan import Plan, Wanted, plan
from tandem_operator.sizing.shape import ModelShape
from tandem_operator.sizing.units import GIB

HEADER: Final = (
    "model",
    "weights, GiB",
    "others",
    "bytes a token",
    "others",
    "GPUs of 80 GB",
    "others",
    "why we differ",
)
MEASURED_HEADER: Final = (
    "model",
    "tensor",
    "utilization",
    "weights a GPU",
    "measured",
    "activation",
    "measured",
    "room",
    "measured",
)
GPU: Final = named("H100-80GB")
_WINDOWS: Final = "most layers have a sliding window, which others count as full"
_COPY: Final = (
    "others add up all files, of which there are two copies, and count the window of every second layer as full"
)
_LINEAR: Final = "three of four layers have linear attention, which others count as full"


@dataclass(frozen=True)
class Published:
    """What others say of a model; empty where they say nothing."""

    repository: str
    weights: float
    bytes_per_token: int
    gpus: str
    why: str = ""

    @property
    def shape(self) -> ModelShape:
        """Its shape as we know it."""
        return _known(self.repository)


@dataclass(frozen=True)
class Measured:
    """What llm-d's planner measured of a model on H100s of 79.18 GiB; sizes in GiB, of one GPU."""

    repository: str
    tensor: int
    utilization: float
    weights: float
    activation: float
    room: float
    kv_tokens: int | None = None

    @property
    def plan(self) -> Plan:
        """What we reckon for the same GPUs."""
        wanted = Wanted(tensor=self.tensor, pipeline=1, utilization=self.utilization)
        return plan(_known(self.repository), GPU, wanted)


PUBLISHED: Final = (
    Published("mistralai/Mistral-7B-v0.3", 13.50, 131_072, "1"),
    Published("meta-llama/Llama-3.1-8B-Instruct", 14.96, 131_072, "1"),
    Published("microsoft/phi-4", 27.31, 204_800, "1"),
    Published("mistralai/Mistral-Small-3.2-24B-Instruct-2506", 44.76, 163_840, "1"),
    Published("google/gemma-3-27b-it", 51.10, 507_904, "1, with 32,768 tokens 2", _WINDOWS),
    Published(
        "Qwen/Qwen3-32B", 61.03, 262_144, "2; llm-d 1, with 16,384 tokens", "the engine's measured use, as llm-d"
    ),
    Published("meta-llama/Llama-3.3-70B-Instruct", 131.42, 327_680, "3 → 4", "the context is cut to what 2 hold"),
    Published("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", 67.72, 327_680, "2"),
    Published("openai/gpt-oss-20b", 25.63, 49_152, "1", _COPY),
    Published("openai/gpt-oss-120b", 121.54, 73_728, "2; llm-d 1, barely", _COPY),
    Published("MiniMaxAI/MiniMax-M2.7", 214.34, 253_952, "4, with 32,768 tokens 5 → 8", "utilization 0.92, not 0.84"),
    Published("Qwen/Qwen3.5-122B-A10B", 232.99, 98_304, "4, with 32,768 tokens 5 → 8", _LINEAR),
    Published("moonshotai/Kimi-K2.5", 554.32, 70_272, "10 → 16"),
    Published("deepseek-ai/DeepSeek-R1", 641.30, 70_272, "11 → 16"),
)
"""Weights and GPUs by KAITO's catalogue and formula (August 2026; 80 GiB, context 2,048), some weights by llm-d."""

MEASURED: Final = (
    Measured("openai/gpt-oss-20b", 1, 0.9, 13.47, 7.38, 50.28),
    Measured("openai/gpt-oss-120b", 1, 0.95, 64.38, 7.38, 3.33),
    Measured("meta-llama/Llama-3.1-8B-Instruct", 1, 0.9, 14.99, 4.76, 51.38),
    Measured("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", 2, 0.9, 33.88, 4.84, 32.00),
    Measured("Qwen/Qwen3-32B", 1, 0.9, 61.03, 5.64, 4.45),
    Measured("Qwen/Qwen3-32B", 2, 0.9, 30.59, 5.64, 34.49),
    Measured("mistralai/Mistral-Small-3.2-24B-Instruct-2506", 1, 0.95, 44.76, 2.12, 28.20, kv_tokens=184_832),
)


def rows() -> Iterator[tuple[str, ...]]:
    """Yield a line for each model: ours beside what others say."""
    for published in PUBLISHED:
        shape = published.shape
        at_most = "at most " if published.bytes_per_token > shape.bytes_per_token else ""
        yield (
            f"`{published.repository}`",
            f"{shape.weights / GIB:.2f}",
            f"{published.weights:.2f}",
            f"{shape.bytes_per_token:,}",
            f"{at_most}{published.bytes_per_token:,}",
            _told(plan(shape, GPU, Wanted())),
            published.gpus,
            published.why,
        )


def measured() -> Iterator[tuple[str, ...]]:
    """Yield a line for each measurement, beside what we reckon."""
    for found in MEASURED:
        used = found.plan.memory
        sizes = {term.name: term.size / GIB for term in used.taken}
        tokens = f" = {found.plan.kv_tokens:,} tokens" if found.kv_tokens else ""
        yield (
            f"`{found.repository}`",
            str(found.tensor),
            f"{found.utilization:g}",
            f"{sizes['weights']:.2f}",
            f"{found.weights:.2f}",
            f"{sizes['sampler']:.2f}",
            f"{found.activation:.2f}",
            f"{used.room / GIB:.2f}{tokens}",
            f"{found.room:.2f}" + (f" = {found.kv_tokens:,} tokens" if found.kv_tokens else ""),
        )


def _told(result: Plan) -> str:
    return f"{result.gpus}, with {result.max_model_len:,} tokens"


def _known(repository: str) -> ModelShape:
    shape = known(repository)
    if shape is None:
        raise LookupError(f"{repository} is not in known_models.json")
    return shape
