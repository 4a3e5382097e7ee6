"""Shapes from configurations as families of models write them, and from what nobody should write."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tandem_operator.sizing.config import read_shape
from tandem_operator.sizing.shape import KvKind, ModelShape, UnknownShapeError

GIB = 2**30
LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_size": 4096,
    "vocab_size": 128_256,
    "max_position_embeddings": 131_072,
}
GPT_OSS = {
    **LLAMA,
    "model_type": "gpt_oss",
    "num_hidden_layers": 24,
    "num_attention_heads": 64,
    "hidden_size": 2880,
    "head_dim": 64,
    "intermediate_size": 2880,
    "num_local_experts": 32,
    "sliding_window": 128,
    "quantization_config": {"quant_method": "mxfp4"},
}
DELTA_NET = {
    "linear_num_value_heads": 64,
    "linear_num_key_heads": 16,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
}


def shape(base: dict[str, Any] | None = None, /, **fields: Any) -> ModelShape:
    return read_shape({**(base or LLAMA), **fields}, 16 * GIB)


def kinds(read: ModelShape) -> dict[KvKind, int]:
    return {group.kind: group.layers for group in read.kv}


def size(read: ModelShape, kind: KvKind) -> int:
    return next(group.size for group in read.kv if group.kind is kind)


def test_grouped_heads_count_their_keys_and_values() -> None:
    read = shape()
    assert read.bytes_per_token == 32 * 2 * 8 * 128 * 2
    assert (read.heads, read.kv_heads, read.layers, read.context) == (32, 8, 32, 131_072)
    assert not read.at_most


def test_the_size_of_a_head_is_taken_from_the_configuration_before_it_is_divided_out() -> None:
    assert shape(head_dim=256).bytes_per_token == 2 * shape().bytes_per_token


def test_without_heads_of_keys_and_values_all_heads_have_them() -> None:
    assert shape(num_key_value_heads=None).kv_heads == 32


def test_one_head_of_keys_serves_all_with_multi_query() -> None:
    falcon = {name: value for name, value in LLAMA.items() if name != "num_key_value_heads"}
    assert shape(falcon, multi_query=True).kv_heads == 1
    assert shape(falcon, multi_query=True, new_decoder_architecture=True, num_kv_heads=8).kv_heads == 8


def test_older_names_of_fields_are_read() -> None:
    gpt2 = {"n_layer": 12, "n_head": 12, "n_embd": 768, "vocab_size": 50_257, "n_positions": 1024}
    read = shape(gpt2)
    assert (read.layers, read.heads, read.context) == (12, 12, 1024)


@pytest.mark.parametrize("nest", ["text_config", "llm_config", "language_config"])
def test_models_that_see_have_their_figures_in_a_nest(nest: str) -> None:
    assert read_shape({"vision_config": {"num_hidden_layers": 27}, nest: LLAMA}, 16 * GIB) == shape()


def test_gemma_leaves_out_what_its_code_has() -> None:
    text = {"model_type": "gemma3_text", "hidden_size": 2560, "num_hidden_layers": 34, "sliding_window": 1024}
    read = read_shape({"text_config": text}, 8 * GIB)
    assert kinds(read) == {KvKind.SLIDING: 29, KvKind.FULL: 5}
    assert (read.heads, read.kv_heads, read.vocabulary, read.context) == (8, 4, 262_208, 131_072)
    assert size(read, KvKind.FULL) == 2 * 4 * 256 * 2


def test_compressed_attention_keeps_one_vector_that_gpus_do_not_divide() -> None:
    read = shape(model_type="deepseek_v3", num_hidden_layers=61, kv_lora_rank=512, qk_rope_head_dim=64)
    assert read.bytes_per_token == 70_272
    assert not read.kv_divides
    assert read.kv_parts(8) == 1


def test_sparse_attention_adds_its_index() -> None:
    deepseek = {"model_type": "deepseek_v32", "kv_lora_rank": 512, "qk_rope_head_dim": 64, "index_head_dim": 128}
    assert size(shape(**deepseek), KvKind.MLA) == 576 * 2 + 128 + 4


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"sliding_window": None}, {KvKind.FULL: 32}),
        ({"sliding_window": 4096}, {KvKind.SLIDING: 32}),
        ({"sliding_window": 131_072}, {KvKind.FULL: 32}),
        ({"sliding_window": 4096, "use_sliding_window": False}, {KvKind.FULL: 32}),
        ({"sliding_window": 4096, "use_sliding_window": True, "max_window_layers": 28}, {"full": 28, "sliding": 4}),
        ({"sliding_window": 4096, "sliding_window_pattern": 4}, {KvKind.SLIDING: 24, KvKind.FULL: 8}),
        ({"sliding_window": 128, "model_type": "gpt_oss"}, {KvKind.SLIDING: 16, KvKind.FULL: 16}),
        (
            {"sliding_window": 128, "layer_types": ["sliding_attention", "full_attention"] * 16},
            {KvKind.SLIDING: 16, KvKind.FULL: 16},
        ),
        (
            {"attention_chunk_size": 8192, "layer_types": ["chunked_attention"] * 24 + ["full_attention"] * 9},
            {KvKind.SLIDING: 24, KvKind.FULL: 8},
        ),
    ],
)
def test_windows_are_found(fields: dict[str, Any], expected: dict[KvKind, int]) -> None:
    read = shape(**fields)
    assert kinds(read) == expected
    assert not read.at_most


def test_layers_of_other_heads_are_counted_with_theirs() -> None:
    gemma = {"layer_types": ["sliding_attention", "full_attention"] * 16, "sliding_window": 1024, "head_dim": 256}
    read = shape(**gemma, num_key_value_heads=16, global_head_dim=512, num_global_key_value_heads=4)
    assert size(read, KvKind.FULL) == 2 * 4 * 512 * 2
    assert size(read, KvKind.SLIDING) == 2 * 16 * 256 * 2
    assert read.kv_heads == 4


@pytest.mark.parametrize(
    "fields",
    [
        {"full_attention_interval": 4},
        {"layer_types": (["linear_attention"] * 3 + ["full_attention"]) * 8},
    ],
)
def test_gated_delta_nets_keep_a_state(fields: dict[str, Any]) -> None:
    read = shape(**fields, **DELTA_NET)
    assert kinds(read) == {KvKind.LINEAR: 24, KvKind.FULL: 8}
    convolution = (2 * 16 * 128 + 64 * 128) * 3 * 2
    assert size(read, KvKind.LINEAR) == convolution + 64 * 128 * 128 * 4
    assert not read.at_most


def test_mamba_keeps_a_state_and_perceptrons_nothing() -> None:
    mamba = {"mamba_num_heads": 128, "mamba_head_dim": 80, "ssm_state_size": 128, "n_groups": 8, "conv_kernel": 4}
    read = shape(num_hidden_layers=6, hybrid_override_pattern="M-M*-E", **mamba)
    assert kinds(read) == {KvKind.LINEAR: 2, KvKind.FULL: 1}
    assert size(read, KvKind.LINEAR) == (128 * 80 + 2 * 8 * 128) * 3 * 2 + 128 * 80 * 128 * 4


def test_lightning_attention_is_told_by_digits() -> None:
    read = shape(attn_type_list=([0] * 7 + [1]) * 4, head_dim=128)
    assert kinds(read) == {KvKind.LINEAR: 28, KvKind.FULL: 4}
    assert kinds(shape(attn_type_list=[1] * 32)) == {KvKind.FULL: 32}


@pytest.mark.parametrize(
    "fields",
    [
        {"layer_types": ["linear_attention"] * 16 + ["full_attention"] * 16},  # no size of the state
        {"layer_types": ["conv"] * 16 + ["full_attention"] * 16},
        {"attn_layer_period": 8, "mamba_d_state": 16},
        {"num_kv_shared_layers": 10},
        {"compress_ratios": [4, 128]},
        {"model_type": "minicpm3", "kv_lora_rank": 256, "qk_rope_head_dim": 32},
    ],
)
def test_what_is_not_told_is_taken_for_full_attention_and_said_to_be_a_bound(fields: dict[str, Any]) -> None:
    read = shape(**fields)
    assert read.at_most
    assert kinds(read) == {KvKind.FULL: 32}


def test_layers_that_may_have_both_are_counted_with_both() -> None:
    falcon = {"mamba_n_heads": 32, "mamba_d_head": 64, "mamba_d_state": 256, "mamba_d_conv": 4, "mamba_n_groups": 2}
    read = shape(**falcon)
    assert kinds(read) == {KvKind.FULL: 32, KvKind.LINEAR: 32}
    assert read.at_most


def test_experts_in_mxfp4_are_rounded_up() -> None:
    assert shape(GPT_OSS).padding == 24 * 32 * 3 * 2880 * (3072 - 2880) * 17 // 32
    assert shape({**GPT_OSS, "hidden_size": 3072}).padding == 0
    assert shape({**GPT_OSS, "quantization_config": {"quant_method": "fp8"}}).padding == 0


def test_yarn_stretches_the_context() -> None:
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32_768}
    assert shape(max_position_embeddings=32_768, rope_scaling=yarn).context == 131_072
    assert shape(max_position_embeddings=40_960, rope_scaling={"rope_type": "linear", "factor": 8.0}).context == 40_960


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_hidden_layers": None}, "num_hidden_layers is missing"),
        ({"num_hidden_layers": -32}, "num_hidden_layers is -32; a whole number from 1 to 2,048 is needed"),
        ({"num_hidden_layers": 10**300}, "num_hidden_layers is 1000"),
        ({"num_attention_heads": 1e300}, r"num_attention_heads is 1e\+300"),
        ({"num_attention_heads": True}, "num_attention_heads is True"),
        ({"hidden_size": "4096"}, "hidden_size is '4096'"),
        ({"hidden_size": 4095}, "head_dim is missing, and 32 attention heads do not divide hidden size 4095"),
        ({"vocab_size": [1, 2]}, "vocab_size is a list of 2"),
        ({"max_position_embeddings": 0}, "max_position_embeddings is 0"),
        ({"layer_types": ["full_attention"]}, "layer_types tells 1 of the model's 32 layers"),
        ({"layer_types": "full"}, "layer_types is 'full'; a list of texts is needed"),
        ({"layer_types": ["sliding_attention"] * 32}, "sliding_window is missing"),
        ({"kv_lora_rank": 512}, "qk_rope_head_dim is missing"),
        ({"is_encoder_decoder": True}, "is_encoder_decoder"),
        ({"hybrid_override_pattern": "-" * 32}, "no layer of the model keeps anything"),
        ({"hidden_size": 2**20, "num_hidden_layers": 2048}, "contradict config.json"),
        ({"attn_type_list": [0] * 32, "head_dim": 2**20}, "out of bounds"),
    ],
)
def test_a_refusal_names_the_field(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownShapeError, match=message) as caught:
        shape(**fields)
    assert str(caught.value).startswith(("config.json: ", "weights of"))
    assert len(str(caught.value)) < 300


def test_a_field_in_a_nest_is_named_with_its_path() -> None:
    with pytest.raises(UnknownShapeError, match=r"^config\.json: text_config\.vocab_size is missing"):
        read_shape({"text_config": {**LLAMA, "vocab_size": None}}, GIB)


def test_weights_are_not_guessed() -> None:
    with pytest.raises(UnknownShapeError, match="the size of the weights is unknown"):
        read_shape(LLAMA, None)


SCALARS = (
    None,
    True,
    False,
    -1,
    0,
    1,
    3,
    32,
    10**9,
    10**40,
    0.5,
    1e300,
    float("nan"),
    "",
    "full_attention",
    "M",
    "yarn",
)
JSON = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("rope_type", "factor")), inner),
    max_leaves=6,
)
NAMES = sorted(
    {*GPT_OSS, *DELTA_NET, "text_config", "rope_scaling", "layer_types", "attn_type_list", "hybrid_override_pattern"}
    | {"kv_lora_rank", "qk_rope_head_dim", "full_attention_interval", "sliding_window_pattern", "mamba_num_heads"}
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), JSON), st.integers(1, 2**46))
def test_whatever_stands_in_a_configuration_it_has_a_shape_or_is_refused(strange: dict[str, Any], weights: int) -> None:
    try:
        read = read_shape({**LLAMA, **strange}, weights)
    except UnknownShapeError:
        return
    assert len(read.model_dump_json()) < 2048
    assert ModelShape.model_validate_json(read.model_dump_json()) == read
