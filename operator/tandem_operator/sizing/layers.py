"""What each layer of a model keeps of a sequence, from the many ways in which config.json says so."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tandem_operator.sizing.fields import Fields
from tandem_operator.sizing.shape import KvKind, UnknownShapeError
from tandem_operator.sizing.state import state_bytes

_FULL: Final = KvKind.FULL
_NAMED: Final = MappingProxyType(
    {
        "full_attention": KvKind.FULL,
        "attention": KvKind.FULL,
        "sliding_attention": KvKind.SLIDING,
        "chunked_attention": KvKind.SLIDING,
        "linear_attention": KvKind.LINEAR,
        "mamba": KvKind.LINEAR,
        "mamba2": KvKind.LINEAR,
        "moe": None,
        "mlp": None,
    }
)
"""Words of `layer_types` and `layers_block_type`; None keeps nothing."""
_LETTERS: Final = MappingProxyType({"M": KvKind.LINEAR, "*": KvKind.FULL, "-": None, "E": None})
"""Letters of `hybrid_override_pattern`, as Nemotron has it: Mamba, attention, perceptron and experts."""
_ALTERNATING: Final = frozenset({"gpt_oss", "gemma2"})
"""Model types of which every second layer is full though older configurations do not say so."""
_UNREAD: Final = (
    "attn_layer_period",
    "attn_layer_indices",
    "full_attn_idxs",
    "hybrid_layer_pattern",
    "linear_attn_config",
    "mamba_d_state",
    "ssm_state_size",
)
"""Fields that tell of layers without attention in ways of one family each."""
_MOST_LAYERS: Final = 2048


@dataclass(frozen=True)
class Layers:
    """What the layers of a model keep."""

    kinds: tuple[KvKind | None, ...]
    """The kind of each; None for one that keeps nothing. A layer that may be of two kinds is there twice."""
    certain: bool = True
    """Whether all is known; what is not is taken for what keeps most."""


def read_layers(config: Fields, count: int) -> Layers:
    """Return the kinds of a model's layers; those of a state whose size is not told are taken for full attention."""
    layers = _told(config, count)
    if layers.certain and KvKind.LINEAR not in layers.kinds:
        return layers
    if state_bytes(config) is None:
        return Layers(tuple(_FULL if kind is KvKind.LINEAR else kind for kind in layers.kinds), certain=False)
    # What is not told may be both at once in each layer, as it is in Falcon-H1.
    both = () if layers.certain else (KvKind.LINEAR,) * layers.kinds.count(_FULL)
    return Layers(layers.kinds + both, layers.certain)


def _told(config: Fields, count: int) -> Layers:
    for name in ("layer_types", "layers_block_type"):
        if name in config:
            return _named(config, name, count)
    if "hybrid_override_pattern" in config:
        return _lettered(config, count)
    if "attn_type_list" in config:
        return Layers(_whole(config, "attn_type_list", map(_of_digit, _digits(config)), count))
    if "linear_num_value_heads" in config or "full_attention_interval" in config:
        # Where a configuration leaves the interval out, Qwen's code has 4.
        every = config.number_if_any("full_attention_interval", most=count) or 4
        return Layers(_every(every, KvKind.LINEAR, count))
    return _windowed(config, count)


def _windowed(config: Fields, count: int) -> Layers:
    """Return the kinds where only fields of the window tell them."""
    if any(name in config for name in _UNREAD):
        return Layers((_FULL,) * count, certain=False)
    if "sliding_window" not in config or config.values.get("use_sliding_window") is False:
        return Layers((_FULL,) * count)
    if config.text("model_type") in _ALTERNATING:
        return Layers(_every(2, KvKind.SLIDING, count))
    if pattern := config.number_if_any("sliding_window_pattern", "_sliding_window_pattern", most=_MOST_LAYERS):
        return Layers(_every(pattern, KvKind.SLIDING, count))
    if "use_sliding_window" in config:
        # As Qwen's code has it: the first layers are full.
        full = min(count, config.number_if_any("max_window_layers", most=_MOST_LAYERS) or 0)
        return Layers((_FULL,) * full + (KvKind.SLIDING,) * (count - full))
    return Layers((KvKind.SLIDING,) * count)


def _every(interval: int, others: KvKind, count: int) -> tuple[KvKind, ...]:
    """Return kinds of which each one at an interval is full."""
    return tuple(_FULL if index % interval == 0 else others for index in range(1, count + 1))


def _named(config: Fields, name: str, count: int) -> Layers:
    words = config.texts(name)
    known = all(word in _NAMED for word in words)
    return Layers(_whole(config, name, (_NAMED.get(word, _FULL) for word in words), count), known)


def _lettered(config: Fields, count: int) -> Layers:
    name = "hybrid_override_pattern"
    letters = config.values[name]
    if not isinstance(letters, str):
        raise UnknownShapeError(f"{config.place}{name} is no text; it tells each layer's kind by a letter")
    known = all(letter in _LETTERS for letter in letters)
    return Layers(_whole(config, name, (_LETTERS.get(letter, _FULL) for letter in letters), count), known)


def _digits(config: Fields) -> list[object]:
    value = config.values["attn_type_list"]
    if not isinstance(value, list):
        raise UnknownShapeError(f"{config.place}attn_type_list is no list; it tells each layer's kind by 0 or 1")
    return value


def _of_digit(digit: object) -> KvKind:
    return KvKind.LINEAR if digit == 0 else _FULL


def _whole(config: Fields, name: str, kinds: Iterable[KvKind | None], count: int) -> tuple[KvKind | None, ...]:
    """Return the kinds of all layers; lists may go on with those that only speculate."""
    found = tuple(kinds)
    if len(found) < count:
        raise UnknownShapeError(f"{config.place}{name} tells {len(found)} of the model's {count} layers")
    return found[:count]
