"""How vLLM uses the memory of a GPU, as arithmetic that agrees with what was measured (docs/sizing.md)."""

import math
from dataclasses import dataclass
from typing import Final

from tandem_operator.sizing.gpu import Gpu
from tandem_operator.sizing.shape import NUMBER_BYTES, KvGroup, KvKind, ModelShape
from tandem_operator.sizing.units import GIB, gib

_LARGE_GPU: Final = 70 * GIB
"""From here on vLLM runs more at once."""
_SEQUENCES: Final = (256, 1024)
"""vLLM's max_num_seqs on smaller and on large GPUs."""
_STEP_TOKENS: Final = (2048, 8192)
"""vLLM's max_num_batched_tokens, as above."""
_LOGIT_COPIES: Final = 9.73
"""How many times vLLM's trial run of the sampler holds the logits; fitted to measured activation."""
_LOGIT_BYTES: Final = 4
_OUTSIDE_TORCH: Final = (int(0.15 * GIB), int(0.6 * GIB))
"""What CUDA takes on a single GPU, and with NCCL on one of several; measured by llm-d's planner."""
_KAITO_BASE: Final = int(2.3 * GIB)
_KAITO_SHARE: Final = 0.05
"""KAITO's overhead: so much, and this share of the weights."""


@dataclass(frozen=True)
class Share:
    """How GPUs divide a model, and how the engine uses each."""

    tensor: int
    pipeline: int
    utilization: float
    kv_bytes: int
    max_num_seqs: int | None

    @property
    def gpus(self) -> int:
        """All of them."""
        return self.tensor * self.pipeline


@dataclass(frozen=True)
class Term:
    """One use of a GPU's memory."""

    name: str
    size: int
    """Bytes a GPU."""
    how: str
    """Its arithmetic."""


@dataclass(frozen=True)
class Memory:
    """The memory of one of the GPUs that share a model."""

    shape: ModelShape
    share: Share
    budget: Term
    taken: tuple[Term, ...]
    """What is gone before the first sequence comes."""
    most_sequences: int
    """Sequences that the engine runs at once."""
    step_tokens: int
    """Tokens that it reads in one step."""

    @property
    def room(self) -> int:
        """Bytes left for sequences; negative where there is too little."""
        return self.budget.size - sum(term.size for term in self.taken)

    def sequence_bytes(self, context: int) -> int:
        """Return the bytes of one sequence of so many tokens."""
        return math.ceil(sum(self._layers(group) * self._layer_bytes(group, context) for group in self.shape.kv))

    def sequence(self, context: int) -> Term:
        """Return what one sequence takes, with its arithmetic."""
        how = " + ".join(self._how(group, context) for group in self.shape.kv)
        return Term("a sequence", self.sequence_bytes(context), f"at most {how}" if self.shape.at_most else how)

    def sequences(self, context: int) -> float:
        """Return how many sequences of so many tokens fit at once."""
        return self.room / self.sequence_bytes(context)

    def holds(self, concurrency: int, context: int) -> bool:
        """Return whether so many sequences of so many tokens fit at once."""
        return concurrency * self.sequence_bytes(context) <= self.room

    def _layers(self, group: KvGroup) -> int:
        """Return the layers of a group in the stage that has most of them."""
        return math.ceil(group.layers / self.share.pipeline)

    def _layer_bytes(self, group: KvGroup, context: int) -> float:
        return self._unit_bytes(group) * self._tokens(group, context)

    def _unit_bytes(self, group: KvGroup) -> float:
        """Return the bytes of a layer for one token, or of its state."""
        if group.kind is KvKind.LINEAR:
            return group.size / self.share.tensor
        return group.size * self.share.kv_bytes / NUMBER_BYTES / self.shape.kv_parts(self.share.tensor)

    def _tokens(self, group: KvGroup, context: int) -> int:
        """Return the tokens that a layer keeps: sliding ones, as vLLM reckons, the window and those of one step."""
        if group.kind is KvKind.LINEAR:
            return 1
        return min(context, group.window - 1 + self.step_tokens) if group.window else context

    def _how(self, group: KvGroup, context: int) -> str:
        begin = f"{self._layers(group)} {group.kind} layers × "
        if group.kind is KvKind.LINEAR:
            return f"{begin}{self._unit_bytes(group):,.0f} bytes"
        return f"{begin}{self._tokens(group, context):,} tokens × {self._unit_bytes(group):,.0f} bytes"


def memory(shape: ModelShape, gpu: Gpu, share: Share) -> Memory:
    """Return how the memory of each of the GPUs is used that share a model."""
    large = gpu.memory >= _LARGE_GPU
    most = share.max_num_seqs or _SEQUENCES[large]
    budget = Term("budget", int(gpu.memory * share.utilization), f"{gib(gpu.memory)} × {share.utilization:g}")
    weights = _weights(shape, share)
    sampler = Term(
        "sampler",
        int(_LOGIT_COPIES * most * shape.vocabulary * _LOGIT_BYTES),
        f"{_LOGIT_COPIES} × {most:,} sequences × {shape.vocabulary:,} words × {_LOGIT_BYTES} bytes",
    )
    outside = Term(
        "CUDA",
        _OUTSIDE_TORCH[share.gpus > 1],
        "one of several GPUs, with NCCL" if share.gpus > 1 else "a single GPU",
    )
    taken = (weights, sampler, outside, _reserve(weights, sampler, outside))
    return Memory(shape, share, budget, tuple(term for term in taken if term.size), most, _STEP_TOKENS[large])


def _weights(shape: ModelShape, share: Share) -> Term:
    whole = gib(shape.weights)
    if shape.padding:
        whole = f"({whole} + {gib(shape.padding)} of padding)"
    size = math.ceil((shape.weights + shape.padding) / share.gpus)
    return Term("weights", size, f"{whole} ÷ {share.gpus}" if share.gpus > 1 else whole.strip("()"))


def _reserve(weights: Term, *overheads: Term) -> Term:
    """Return what other overheads lack of KAITO's, which is the larger one for large weights and small GPUs."""
    kaito = _KAITO_BASE + int(_KAITO_SHARE * weights.size)
    lacking = max(0, kaito - sum(term.size for term in overheads))
    return Term("reserve", lacking, f"up to KAITO's overhead, {gib(_KAITO_BASE)} + {_KAITO_SHARE:.0%} of the weights")
