"""The figures of a model that decide how much memory it takes."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

NUMBER_BYTES: Final = 2
"""Bytes of a cached number, unless the cache is kept in fp8."""

Heads = Annotated[int, Field(ge=1, le=4096)]
Layers = Annotated[int, Field(ge=1, le=2048)]


class UnknownShapeError(Exception):
    """A model whose memory cannot be told; the message says what is missing and where."""


class KvKind(StrEnum):
    """What layers keep of a sequence."""

    FULL = "full"
    """Keys and values of each token."""
    SLIDING = "sliding"
    """Keys and values of the last `window` tokens."""
    MLA = "mla"
    """One compressed vector for each token, which all heads share."""
    LINEAR = "linear"
    """A state of constant size."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KvGroup(_Frozen):
    """Layers that keep the same of a sequence."""

    kind: KvKind
    layers: Layers
    size: Annotated[int, Field(ge=1, le=2**34)]
    """Bytes that one layer keeps, all heads together: for each token, with numbers of two bytes; if linear, for each
    sequence."""
    window: Annotated[int, Field(ge=1, le=2**30)] | None = None
    """Tokens that sliding layers keep."""


class ModelShape(_Frozen):
    """What decides a model's memory. As JSON it is shorter than 2 KB."""

    weights: Annotated[int, Field(ge=1, le=2**46)]
    """Bytes of the weights in their files."""
    padding: Annotated[int, Field(ge=0, le=2**46)] = 0
    """Bytes by which the engine enlarges them when it loads them."""
    heads: Heads
    """Attention heads."""
    kv_heads: Heads
    """Heads of keys and values; where layers differ, of those with the fewest."""
    layers: Layers
    vocabulary: Annotated[int, Field(ge=1, le=2**24)]
    context: Annotated[int, Field(ge=1, le=2**30)]
    """Longest sequence, in tokens, that the model was made for."""
    kv: Annotated[tuple[KvGroup, ...], Field(max_length=12)]
    kv_divides: bool = True
    """Whether tensor parallelism divides what a sequence keeps; what MLA keeps is whole on each GPU."""
    at_most: bool = False
    """Whether what a sequence keeps is an upper bound: more could not be told."""

    def divides_into(self, tensor: int) -> bool:
        """Return whether the heads can be divided by `tensor` GPUs; heads of keys and values may be kept by several."""
        whole = self.kv_heads % tensor == 0 or tensor % self.kv_heads == 0 or not self.kv_divides
        return self.heads % tensor == 0 and whole

    def kv_parts(self, tensor: int) -> int:
        """Return into how many parts `tensor` GPUs divide what a sequence keeps."""
        return min(tensor, self.kv_heads) if self.kv_divides else 1

    @property
    def bytes_per_token(self) -> int:
        """Bytes that each further token of a long sequence takes, with numbers of two bytes."""
        return sum(group.layers * group.size for group in self.kv if group.kind in {KvKind.FULL, KvKind.MLA})
