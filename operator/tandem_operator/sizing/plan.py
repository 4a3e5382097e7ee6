"""How many GPUs a model needs, and what fits them."""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tandem_operator.sizing.gpu import Gpu
from tandem_operator.sizing.memory import Memory, Share, Term, memory
from tandem_operator.sizing.shape import NUMBER_BYTES, ModelShape
from tandem_operator.sizing.units import gib

MOST_GPUS: Final = 64
"""As many as spec.engine.gpus may be."""
_STEP: Final = 1024
"""Contexts that are shorter than the model's own are multiples of it."""
_SHORTEST: Final = 8192
"""Tokens that the GPUs hold at least where no context is asked for, unless the model's own is shorter."""


class DoesNotFitError(Exception):
    """A model that does not fit; the message has the numbers."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for; None leaves the choice."""

    context: int | None = None
    """Tokens of the longest sequence."""
    concurrency: int | None = None
    """Sequences of that length at once."""
    gpus: int | None = None
    tensor: int | None = None
    pipeline: int | None = None
    gpus_per_node: int = 8
    utilization: float = 0.92
    """Share of a GPU's memory that the engine takes; vLLM's own since 0.20."""
    kv_bytes: int = NUMBER_BYTES
    """Bytes of a cached number: 2, or 1 for fp8."""
    max_num_seqs: int | None = None
    """Most sequences that the engine runs at once. Default: vLLM's own."""


@dataclass(frozen=True)
class Plan:
    """GPUs of one replica and what fits them."""

    wanted: Wanted
    gpu: Gpu
    tensor: int
    pipeline: int
    max_model_len: int
    concurrency: int
    """Sequences of `max_model_len` tokens that fit at once."""
    kv_tokens: int
    """Tokens that fit, in sequences of that length, as vLLM reports them."""
    memory: Memory
    """How the memory of one GPU is used."""
    notes: tuple[str, ...]
    """What one should know of the figures, such as that the context is shorter than the model's own."""

    @property
    def terms(self) -> tuple[Term, ...]:
        """The budget of a GPU, what is taken from it, the room that is left, and what one sequence takes of it."""
        used = self.memory
        room = Term("room", used.room, f"{self.kv_tokens:,} tokens in sequences of {self.max_model_len:,}")
        return (used.budget, *used.taken, room, used.sequence(self.max_model_len))

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.tensor * self.pipeline

    @property
    def nodes(self) -> int:
        """Nodes that they take."""
        return _nodes(self.tensor, self.pipeline, self.wanted.gpus_per_node)


def plan(shape: ModelShape, gpu: Gpu, wanted: Wanted) -> Plan:
    """Return the fewest GPUs that hold the model with what is wanted; DoesNotFitError where there are none."""
    if wanted.context and wanted.context > shape.context:
        raise DoesNotFitError(
            f"a context of {wanted.context:,} tokens is longer than the model's own, {shape.context:,}; ask for less"
        )
    shares = [*_shares(shape, wanted)]
    if not shares:
        raise DoesNotFitError(_why_none(shape, wanted))
    concurrency = wanted.concurrency or 1
    least = wanted.context or min(_SHORTEST, shape.context)
    for share in shares:
        used = memory(shape, gpu, share)
        if concurrency > used.most_sequences:
            raise DoesNotFitError(
                f"the engine runs {used.most_sequences:,} sequences at once, not {concurrency:,}; raise maxNumSeqs"
            )
        if used.holds(concurrency, least):
            return _filled(shape, gpu, wanted, used)
    raise DoesNotFitError(_why_not(memory(shape, gpu, shares[-1]), gpu, concurrency, least))


def _shares(shape: ModelShape, wanted: Wanted) -> Iterator[Share]:
    """Yield the ways to divide the model, those with the fewest GPUs first.

    Stages of a pipeline come where tensor parallelism goes no further, or where they are asked for.
    """
    tensors = [
        tensor
        for tensor in range(1, min(wanted.gpus_per_node, shape.heads) + 1)
        if wanted.tensor in {None, tensor} and shape.divides_into(tensor)
    ]
    ways = [
        (tensor * pipeline, pipeline, tensor)
        for tensor in tensors
        for pipeline in range(1, min(shape.layers, MOST_GPUS // tensor) + 1)
        if wanted.gpus in {None, tensor * pipeline}
        and wanted.pipeline in {None, pipeline}
        and (pipeline == 1 or tensor == tensors[-1] or wanted.gpus or wanted.pipeline)
    ]
    for _, pipeline, tensor in sorted(ways):
        yield Share(tensor, pipeline, wanted.utilization, wanted.kv_bytes, wanted.max_num_seqs)


def _filled(shape: ModelShape, gpu: Gpu, wanted: Wanted, used: Memory) -> Plan:
    """Return the plan for memory that holds what is wanted, with the longest context if none is."""
    context = wanted.context or _longest(shape, used, wanted.concurrency or 1)
    fit = used.sequences(context)
    return Plan(
        wanted,
        gpu,
        used.share.tensor,
        used.share.pipeline,
        context,
        min(int(fit), used.most_sequences),
        int(fit * context),
        used,
        tuple(_notes(shape, wanted, used.share, context)),
    )


def _longest(shape: ModelShape, used: Memory, concurrency: int) -> int:
    """Return the model's own context if it fits, else the longest that does."""
    if used.holds(concurrency, shape.context):
        return shape.context
    steps = range(1, shape.context // _STEP + 1)
    return _STEP * bisect_right(steps, x=False, key=lambda step: not used.holds(concurrency, step * _STEP))


def _notes(shape: ModelShape, wanted: Wanted, share: Share, context: int) -> Iterator[str]:
    if not wanted.context and context < shape.context:
        yield f"the model's own context of {shape.context:,} tokens takes more GPUs; maxModelLen is what these hold"
    if shape.at_most:
        yield "what sequences keep is at most this: config.json does not tell all of it, and more may fit"
    copies = share.tensor // shape.kv_parts(share.tensor)
    if copies > 1:
        what = f"{shape.kv_heads} heads of keys and values" if shape.kv_divides else "the compressed cache (MLA)"
        yield f"{what} cannot be divided by {share.tensor} GPUs: each has what {copies} share"
    if (nodes := _nodes(share.tensor, share.pipeline, wanted.gpus_per_node)) > 1:
        yield f"these are {nodes} nodes of {wanted.gpus_per_node} GPUs"


def _nodes(tensor: int, pipeline: int, gpus_per_node: int) -> int:
    """Return how many nodes the stages take, of which none is torn apart."""
    return math.ceil(pipeline / (gpus_per_node // tensor))


def _why_none(shape: ModelShape, wanted: Wanted) -> str:
    asked = {"gpus": wanted.gpus, "tensor": wanted.tensor, "pipeline": wanted.pipeline}
    told = ", ".join(f"{name} {value}" for name, value in asked.items() if value is not None)
    return (
        f"the model cannot be divided so: {told}; tensor must divide its {shape.heads} attention heads, divide its"
        f" {shape.kv_heads} heads of keys and values or be a multiple of them, and fit a node of"
        f" {wanted.gpus_per_node} GPUs; pipeline must not exceed its {shape.layers} layers, nor gpus {MOST_GPUS}"
    )


def _why_not(used: Memory, gpu: Gpu, concurrency: int, context: int) -> str:
    """Return what is lacking for sequences of so many tokens, with all numbers."""
    taken = ", ".join(f"{term.name} {gib(term.size)}" for term in used.taken)
    need = concurrency * used.sequence_bytes(context)
    left = f"leave {gib(used.room)}" if used.room > 0 else f"are {gib(-used.room)} too much"
    return (
        f"the model does not fit {used.share.gpus} × {gpu.name}: of {gib(used.budget.size)} on each"
        f" ({used.budget.how}), {taken} {left}; {concurrency:,} × {context:,} tokens would take {gib(need)}."
        " Take more or larger GPUs, fewer or shorter sequences, or a quantized model"
    )
