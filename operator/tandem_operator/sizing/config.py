"""A model's shape from its config.json."""

from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from tandem_operator.sizing.fields import Fields
from tandem_operator.sizing.layers import Layers, read_layers
from tandem_operator.sizing.shape import NUMBER_BYTES, KvGroup, KvKind, ModelShape, UnknownShapeError
from tandem_operator.sizing.state import state_bytes

_NESTS: Final = ("text_config", "llm_config", "language_config")
"""Where models that also see or hear have the figures of their language model."""
_LEFT_OUT: Final = MappingProxyType(
    {
        "gemma3_text": {
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "vocab_size": 262_208,
            "max_position_embeddings": 131_072,
            "sliding_window_pattern": 6,
        }
    }
)
"""Fields that configurations leave out for they are the defaults of transformers, by model type."""
_UNCOMPRESSED: Final = frozenset({"minicpm3"})
"""Model types whose compressed cache the engine expands."""
_SAVING: Final = ("num_kv_shared_layers", "compress_ratios", "block_configs")
"""Fields of models whose layers keep less than others, as Gemma 3n, DeepSeek V4 and Nemotron do."""
_MOST_LAYERS: Final = 2048
_MOST_HEADS: Final = 4096
_WIDEST: Final = 2**20
_LARGEST_VOCABULARY: Final = 2**24
_LONGEST: Final = 2**30
_MXFP4_STEP: Final = 256
"""vLLM's kernels want hidden sizes of MXFP4 experts in multiples of it; measured for gpt-oss."""
_MXFP4_BYTES: Final = (17, 32)
"""Bytes of an MXFP4 number as a fraction: four bits, and eight for the scale of each 32."""


def read_shape(config: Mapping[str, Any], weights: int | None) -> ModelShape:
    """Return the shape of a model with weights of so many bytes; UnknownShapeError names the field that is missing.

    Without weights there is no shape: a configuration tells neither how many parameters a model has nor their width.
    """
    if weights is None:
        raise UnknownShapeError(
            "the size of the weights is unknown: there is neither model.safetensors.index.json nor model.safetensors,"
            " and config.json does not tell it"
        )
    fields = _language_model(config)
    if fields.values.get("is_encoder_decoder") is True:
        raise UnknownShapeError(f"{fields.place}is_encoder_decoder: the memory of such models is not reckoned")
    try:
        return _shape(fields, weights)
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"]))
        raise UnknownShapeError(f"config.json: the model's {place} is out of bounds: {wrong['msg']}") from None


def _shape(fields: Fields, weights: int) -> ModelShape:
    count = fields.number("num_hidden_layers", "num_layers", "n_layer", "n_layers", most=_MOST_LAYERS)
    _refuse_absurd(fields, weights, count)
    layers = read_layers(fields, count)
    kv = tuple(_groups(fields, layers))
    if not kv:
        raise UnknownShapeError(f"{fields.place}no layer of the model keeps anything of a sequence")
    return ModelShape(
        weights=weights,
        padding=_padding(fields, count),
        heads=_heads(fields),
        kv_heads=min(_kv_heads(fields, group.kind) for group in kv),
        layers=count,
        vocabulary=fields.number("vocab_size", "padded_vocab_size", most=_LARGEST_VOCABULARY),
        context=_context(fields),
        kv=kv,
        kv_divides=not _is_compressed(fields),
        at_most=not layers.certain or _keeps_less(fields),
    )


def _language_model(config: Mapping[str, Any]) -> Fields:
    """Return the fields of the language model, with those that its type leaves out."""
    whole = Fields(config, "config.json: ")
    nested = (inner for name in _NESTS if (inner := whole.inner(name)))
    found = whole if "num_hidden_layers" in whole else next(nested, whole)
    left_out = _LEFT_OUT.get(found.text("model_type"), {})
    there = {name: value for name, value in found.values.items() if value is not None or name not in left_out}
    return Fields({**left_out, **there}, found.place)


def _refuse_absurd(fields: Fields, weights: int, layers: int) -> None:
    """Refuse weights of less than one bit for each of the parameters that any layer has at least."""
    hidden = fields.number_if_any("hidden_size", "n_embd", "d_model", most=_WIDEST) or 0
    if weights * 8 < layers * hidden**2:
        raise UnknownShapeError(
            f"weights of {weights:,} bytes are too few for {layers} layers of hidden size {hidden}: the files'"
            " metadata contradict config.json"
        )


def _heads(fields: Fields) -> int:
    return fields.number("num_attention_heads", "n_head", "n_heads", most=_MOST_HEADS)


def _kv_heads(fields: Fields, kind: KvKind) -> int:
    """Return the heads of keys and values in layers of a kind."""
    special = {KvKind.FULL: "num_global_key_value_heads", KvKind.SLIDING: "swa_num_key_value_heads"}.get(kind)
    if special and (found := fields.number_if_any(special, most=_MOST_HEADS)):
        return found
    if fields.values.get("multi_query") is True and fields.values.get("new_decoder_architecture") is not True:
        return 1
    names = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num")
    return fields.number_if_any(*names, most=_MOST_HEADS) or _heads(fields)


def _head_size(fields: Fields, kind: KvKind) -> int:
    """Return the numbers of one head in layers of a kind."""
    special = {KvKind.FULL: ("global_head_dim",), KvKind.SLIDING: ("swa_head_dim",)}.get(kind, ())
    found = fields.number_if_any(*special, "head_dim", "kv_channels", "attention_head_dim", most=_WIDEST)
    if found:
        return found
    hidden, heads = fields.number("hidden_size", "n_embd", "d_model", most=_WIDEST), _heads(fields)
    if hidden % heads:
        raise UnknownShapeError(
            f"{fields.place}head_dim is missing, and {heads} attention heads do not divide hidden size {hidden}"
        )
    return hidden // heads


def _is_compressed(fields: Fields) -> bool:
    """Return whether the engine keeps one compressed vector a token (multi-head latent attention)."""
    return "kv_lora_rank" in fields and fields.text("model_type") not in _UNCOMPRESSED


def _keeps_less(fields: Fields) -> bool:
    """Return whether layers share what others keep, or compress it, in ways that only the model's own code tells."""
    compressed = "kv_lora_rank" in fields and not _is_compressed(fields)
    return compressed or any(fields.values.get(name) for name in _SAVING)


def _groups(fields: Fields, layers: Layers) -> Iterator[KvGroup]:
    for kind, count in Counter(layers.kinds).items():
        if kind:
            yield _group(fields, kind, count)


def _group(fields: Fields, kind: KvKind, count: int) -> KvGroup:
    if kind is KvKind.LINEAR and (state := state_bytes(fields)):
        return KvGroup(kind=kind, layers=count, size=state)
    if _is_compressed(fields):
        rank = fields.number("kv_lora_rank", most=_WIDEST) + fields.number("qk_rope_head_dim", most=_WIDEST)
        return KvGroup(kind=KvKind.MLA, layers=count, size=rank * NUMBER_BYTES + _index_bytes(fields))
    size = 2 * _kv_heads(fields, kind) * _head_size(fields, kind) * NUMBER_BYTES
    if kind is KvKind.SLIDING:
        window = fields.number("sliding_window", "attention_chunk_size", most=_LONGEST)
        if window < _context(fields):
            return KvGroup(kind=kind, layers=count, size=size, window=window)
    return KvGroup(kind=KvKind.FULL, layers=count, size=size)


def _index_bytes(fields: Fields) -> int:
    """Return the bytes a token of DeepSeek's index of sparse attention: fp8, and a float for each 128."""
    size = fields.number_if_any("index_head_dim", most=_WIDEST) or 0
    return size + size // 128 * 4


def _context(fields: Fields) -> int:
    """Return the longest sequence; YaRN stretches the one that the model was first made for."""
    names = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "max_sequence_length")
    longest = fields.number(*names, most=_LONGEST)
    rope = fields.inner("rope_scaling") or fields.inner("rope_parameters")
    if rope is None or "yarn" not in (rope.text("rope_type"), rope.text("type")):
        return longest
    original = rope.number_if_any("original_max_position_embeddings", most=_LONGEST) or longest
    factor = rope.values.get("factor")
    if not isinstance(factor, int | float) or not 1 <= factor <= _WIDEST:
        return longest
    return min(_LONGEST, max(longest, int(original * factor)))


def _padding(fields: Fields, layers: int) -> int:
    """Return the bytes by which the engine rounds up experts in MXFP4."""
    quantization = fields.inner("quantization_config")
    if quantization is None or quantization.text("quant_method") != "mxfp4":
        return 0
    experts = fields.number_if_any("num_local_experts", "num_experts", most=_WIDEST) or 0
    width = fields.number_if_any("moe_intermediate_size", "intermediate_size", most=_WIDEST) or 0
    added = -fields.number("hidden_size", most=_WIDEST) % _MXFP4_STEP
    numerator, denominator = _MXFP4_BYTES
    return layers * experts * 3 * width * added * numerator // denominator
