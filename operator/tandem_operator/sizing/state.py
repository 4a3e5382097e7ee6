"""What a layer without attention keeps of a sequence: a state whose size does not grow."""

from typing import Final

from tandem_operator.sizing.fields import Fields
from tandem_operator.sizing.shape import NUMBER_BYTES

_STATE_BYTES: Final = 4
"""Bytes of a number of the state proper, at most: some models ask for float32, none for more."""
_MOST: Final = 2**20
_KERNEL: Final = 4
"""Width of the convolution where the configuration leaves it out, as all that are known have it."""


def state_bytes(config: Fields) -> int | None:
    """Return the bytes of a sequence's state in one layer, or None where the configuration does not tell them."""
    if "linear_num_value_heads" in config:
        return _delta_net(config)
    if any(name in config for name in ("mamba_num_heads", "mamba_n_heads")):
        return _mamba2(config)
    if "attn_type_list" in config:
        return _lightning(config)
    return None


def _delta_net(config: Fields) -> int:
    """Return it for gated delta nets, as Qwen3-Next and Qwen3.5 have them."""
    value_heads = config.number("linear_num_value_heads", most=_MOST)
    value_size = config.number("linear_value_head_dim", most=_MOST)
    key_size = config.number("linear_key_head_dim", most=_MOST)
    keys = config.number("linear_num_key_heads", most=_MOST) * key_size
    kernel = config.number_if_any("linear_conv_kernel_dim", most=_MOST) or _KERNEL
    convolution = (2 * keys + value_heads * value_size) * (kernel - 1) * NUMBER_BYTES
    return convolution + value_heads * value_size * key_size * _STATE_BYTES


def _mamba2(config: Fields) -> int:
    """Return it for Mamba 2, as Nemotron-H, Granite 4 and Bamba have it."""
    width = config.number("mamba_num_heads", "mamba_n_heads", most=_MOST) * config.number(
        "mamba_head_dim", "mamba_d_head", most=_MOST
    )
    state = config.number("ssm_state_size", "mamba_d_state", most=_MOST)
    groups = config.number_if_any("n_groups", "mamba_n_groups", most=_MOST) or 1
    kernel = config.number_if_any("conv_kernel", "mamba_d_conv", most=_MOST) or _KERNEL
    convolution = (width + 2 * groups * state) * (kernel - 1) * NUMBER_BYTES
    return convolution + width * state * _STATE_BYTES


def _lightning(config: Fields) -> int:
    """Return it for lightning attention, as MiniMax-Text-01 and MiniMax-M1 have it."""
    heads = config.number("num_attention_heads", most=_MOST)
    return heads * config.number("head_dim", most=_MOST) ** 2 * _STATE_BYTES
