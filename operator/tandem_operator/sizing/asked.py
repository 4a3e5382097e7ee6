"""What an engine's spec asks of sizing."""

import re
from collections.abc import Sequence
from typing import Final

from tandem_operator.api.component import EngineComponent
from tandem_operator.api.engine import EngineSpec
from tandem_operator.api.model import ModelFigures, SizedModelSpec
from tandem_operator.api.quantity import number
from tandem_operator.api.source import HuggingFace
from tandem_operator.engines import ENGINES
from tandem_operator.engines.base import CPU, Capability
from tandem_operator.sizing.known import known
from tandem_operator.sizing.plan import Wanted
from tandem_operator.sizing.shape import KvGroup, KvKind, ModelShape

_SHARE: Final = re.compile(
    r"(?<!\S)--(?:(?:gpu|device)[-_]memory[-_]utilization|mem-fraction-static)[= ](0?\.[0-9]+|1(?:\.0*)?)(?!\S)"
)
_FP8_CACHE: Final = re.compile(r"(?<!\S)--kv[-_]cache[-_]dtype[= ]fp8")
_LENGTH: Final = re.compile(
    r"(?<!\S)--(?:max[-_]model[-_]len|context[-_]length)[= ]([0-9]{1,9}(?:\.[0-9]{1,9})?)([kmgKMG]?)(?!\S)"
)
_UNITS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
"""Of numbers in vLLM's arguments (human_readable_int of its arg_utils)."""
_LOADING_LESS: Final = re.compile(r"(?<!\S)(?:--(?:quantization|torchao|\S*offload)|-q\b)")
"""Arguments by which weights shrink while they load, or stay in the node's memory."""


def is_sized(component: EngineComponent) -> bool:
    """Return whether sizing has a say in this engine: one on accelerators that holds the weights of a whole model."""
    spec = component.spec
    if spec.external or spec.accelerator == CPU or component.embeds:
        return False
    return Capability.SIZING in ENGINES[spec.type].capabilities


def is_stated(component: EngineComponent) -> bool:
    """Return whether the spec itself says how many accelerators a replica has."""
    return component.spec.stated_gpus is not None or component.spec.parallelism.tensor is not None


def wanted(component: EngineComponent, gpus_per_node: int) -> Wanted:
    """Return what the spec asks for."""
    spec = component.spec
    stated = spec.gpu_count if is_stated(component) else None
    return Wanted(
        context=spec.max_model_len or _length(spec.extra_args),
        gpus=stated,
        tensor=spec.tensor_parallel if stated else None,
        pipeline=spec.parallelism.pipeline if stated or spec.parallelism.pipeline > 1 else None,
        gpus_per_node=gpus_per_node,
        utilization=_share(spec.extra_args) or ENGINES[spec.type].memory_share,
        kv_bytes=1 if _FP8_CACHE.search(" ".join(spec.extra_args)) else Wanted.kv_bytes,
        max_num_seqs=spec.max_num_seqs,
    )


def loads_files_whole(spec: EngineSpec) -> bool:
    """Return whether the accelerators have to hold weights of the size of their files."""
    return spec.quantization is None and not _LOADING_LESS.search(" ".join(spec.extra_args))


def told_shape(component: EngineComponent) -> ModelShape | None:
    """Return the shape of the model as far as it is known without its files: stated in the spec, or well known."""
    model = component.model
    if isinstance(model, SizedModelSpec) and model.figures:
        return _of_figures(model.figures)
    source = model.parsed_source
    return known(source.repository) if isinstance(source, HuggingFace) else None


def _of_figures(figures: ModelFigures) -> ModelShape:
    layers = min(figures.layers, figures.kv_bytes_per_token)
    return ModelShape(
        weights=max(1, int(number(figures.weights))),
        heads=figures.attention_heads,
        kv_heads=figures.kv_heads,
        layers=figures.layers,
        vocabulary=figures.vocabulary_size,
        context=figures.context_length,
        kv=(KvGroup(kind=KvKind.FULL, layers=layers, size=-(-figures.kv_bytes_per_token // layers)),),
    )


def _share(extra_args: Sequence[str]) -> float | None:
    found = _SHARE.findall(" ".join(extra_args))
    return float(found[-1]) if found else None


def _length(extra_args: Sequence[str]) -> int | None:
    """Return the tokens of the longest sequence, as arguments state them."""
    found = _LENGTH.findall(" ".join(extra_args))
    if not found:
        return None
    amount, unit = found[-1]
    return int(float(amount) * _UNITS[unit]) or None
