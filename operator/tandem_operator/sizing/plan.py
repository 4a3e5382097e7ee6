"""How many GPUs a model needs, and what fits them."""

from dataclasses import dataclass

from tandem_operator.sizing.gpu import Gpu
from tandem_operator.sizing.shape import NUMBER_BYTES, ModelShape


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
class Term:
    """One use of a GPU's memory."""

    name: str
    size: int
    """Bytes a GPU."""
    how: str
    """Its arithmetic."""


@dataclass(frozen=True)
class Plan:
    """GPUs of one replica and what fits them."""

    gpu: Gpu
    gpus: int
    tensor: int
    pipeline: int
    nodes: int
    max_model_len: int
    concurrency: int
    """Sequences of `max_model_len` tokens that fit at once."""
    kv_tokens: int
    """Tokens that fit, in sequences of that length."""
    terms: tuple[Term, ...]
    """The budget of a GPU, what is taken from it, and last the room that is left for sequences."""
    notes: tuple[str, ...]
    """What one should know of the figures, such as that the context is shorter than the model's own."""


def plan(shape: ModelShape, gpu: Gpu, wanted: Wanted) -> Plan:
    """Return the fewest GPUs that hold the model with what is wanted; DoesNotFitError where there are none."""
    raise NotImplementedError
