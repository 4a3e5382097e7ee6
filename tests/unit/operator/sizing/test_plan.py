"""How many GPUs, and what fits them."""

from typing import Any

import pytest
from tandem_operator.sizing.gpu import Gpu, named
from tandem_operator.sizing.known import known
from tandem_operator.sizing.plan import DoesNotFitError, Wanted, plan
from tandem_operator.sizing.shape import KvGroup, KvKind, ModelShape
from tandem_operator.sizing.telling import sentence, table, verdict

GIB = 2**30
H100 = named("H100-80GB")
SHAPE = ModelShape(
    weights=60 * GIB,
    heads=64,
    kv_heads=8,
    layers=64,
    vocabulary=150_000,
    context=40_960,
    kv=(KvGroup(kind=KvKind.FULL, layers=64, size=4096),),
)


def shape(**fields: Any) -> ModelShape:
    return SHAPE.model_copy(update=fields)


def qwen() -> ModelShape:
    found = known("Qwen/Qwen3-32B")
    assert found is not None
    return found


def test_the_fewest_gpus_are_taken_and_the_context_that_they_hold_is_told() -> None:
    result = plan(qwen(), H100, Wanted())
    assert (result.gpus, result.tensor, result.pipeline, result.nodes) == (1, 1, 1, 1)
    assert result.max_model_len == 24_576
    assert "the model's own context of 40,960 tokens takes more GPUs" in result.notes[0]


def test_a_step_more_of_context_would_not_fit() -> None:
    result = plan(qwen(), H100, Wanted())
    assert result.memory.holds(1, result.max_model_len)
    assert not result.memory.holds(1, result.max_model_len + 1024)


def test_the_whole_context_takes_as_many_gpus_as_hold_it() -> None:
    result = plan(qwen(), H100, Wanted(context=40_960))
    assert (result.gpus, result.max_model_len, result.notes) == (2, 40_960, ())
    assert result.concurrency == 7


def test_requests_at_once_take_more_gpus() -> None:
    result = plan(qwen(), H100, Wanted(context=40_960, concurrency=8))
    assert (result.gpus, result.tensor) == (4, 4)
    assert result.concurrency >= 8


def test_gpus_that_cannot_divide_the_heads_are_passed_over() -> None:
    three = shape(weights=140 * GIB)  # three would hold it
    assert plan(three, H100, Wanted(context=8192, concurrency=2)).gpus == 4


def test_the_heads_of_keys_are_copied_where_there_are_more_gpus() -> None:
    result = plan(shape(kv_heads=2), H100, Wanted(tensor=8))
    assert result.memory.sequence_bytes(1024) == 64 * 4096 * 1024 // 2
    assert "2 heads of keys and values cannot be divided by 8 GPUs: each has what 4 share" in result.notes


def test_a_compressed_cache_is_whole_on_each_gpu() -> None:
    mla = shape(kv_heads=64, kv_divides=False, kv=(KvGroup(kind=KvKind.MLA, layers=64, size=1152),))
    one, eight = (plan(mla, H100, Wanted(tensor=tensor)).memory.sequence_bytes(1024) for tensor in (1, 8))
    assert one == eight == 64 * 1152 * 1024


def test_more_than_a_node_become_stages() -> None:
    result = plan(shape(weights=650 * GIB), H100, Wanted())
    assert (result.gpus, result.tensor, result.pipeline, result.nodes) == (16, 8, 2, 2)
    assert "these are 2 nodes of 8 GPUs" in result.notes
    assert plan(shape(weights=650 * GIB), H100, Wanted(gpus_per_node=4)).tensor == 4


def test_as_many_gpus_as_are_asked_for_are_taken() -> None:
    assert (plan(SHAPE, H100, Wanted(gpus=4)).tensor, plan(SHAPE, H100, Wanted(gpus=4)).pipeline) == (4, 1)
    assert (plan(SHAPE, H100, Wanted(gpus=6)).tensor, plan(SHAPE, H100, Wanted(gpus=6)).pipeline) == (2, 3)
    assert plan(SHAPE, H100, Wanted(tensor=2, pipeline=2)).gpus == 4


def test_a_window_and_a_state_do_not_grow_with_the_context() -> None:
    groups = (
        KvGroup(kind=KvKind.SLIDING, layers=10, size=1000, window=1024),
        KvGroup(kind=KvKind.LINEAR, layers=10, size=5000),
    )
    used = plan(shape(kv=groups), H100, Wanted()).memory
    assert used.sequence_bytes(512) == 10 * 1000 * 512 + 50_000
    assert used.sequence_bytes(40_960) == 10 * 1000 * (1023 + 8192) + 50_000


def test_gpus_divide_a_state_further_than_heads_of_keys() -> None:
    linear = shape(kv_heads=2, kv=(KvGroup(kind=KvKind.LINEAR, layers=10, size=8000),))
    assert plan(linear, H100, Wanted(tensor=8)).memory.sequence_bytes(1024) == 10 * 1000


def test_gpus_that_hold_the_weights_and_next_to_no_tokens_are_too_few() -> None:
    tight = shape(weights=66 * GIB)
    assert plan(tight, H100, Wanted(context=1024)).gpus == 1
    assert plan(tight, H100, Wanted()).gpus == 2
    assert plan(shape(weights=66 * GIB, context=1024), H100, Wanted()).gpus == 1


def test_attention_heads_are_not_copied() -> None:
    with pytest.raises(DoesNotFitError, match="tensor 8; tensor must divide its 28 attention heads"):
        plan(shape(heads=28, kv_heads=4), H100, Wanted(tensor=8))


def test_a_cache_in_fp8_takes_half() -> None:
    half = plan(SHAPE, H100, Wanted(gpus=2, kv_bytes=1)).memory.sequence_bytes(1000)
    assert half * 2 == plan(SHAPE, H100, Wanted(gpus=2)).memory.sequence_bytes(1000)


def test_fewer_sequences_leave_more_room() -> None:
    few = plan(SHAPE, H100, Wanted(gpus=2, max_num_seqs=64))
    assert few.memory.room > plan(SHAPE, H100, Wanted(gpus=2)).memory.room
    assert plan(SHAPE, H100, Wanted(gpus=8, max_num_seqs=2)).concurrency == 2


def test_small_gpus_run_fewer_sequences_and_keep_a_reserve() -> None:
    small = plan(shape(weights=8 * GIB), named("L4-24GB"), Wanted())
    assert small.memory.most_sequences == 256
    assert [term.name for term in small.memory.taken] == ["weights", "sampler", "CUDA", "reserve"]
    overhead = sum(term.size for term in small.memory.taken[1:]) / GIB
    assert overhead == pytest.approx(2.3 + 0.05 * 8)


def test_terms_add_up() -> None:
    budget, *taken, room, sequence = plan(qwen(), H100, Wanted(gpus=2)).terms
    assert budget.size - sum(term.size for term in taken) == room.size
    assert budget.size == int(H100.memory * 0.92)
    assert sequence.size == 64 * 40_960 * 2048


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            Wanted(gpus=1, context=40_960),
            r"1 × H100-80GB: of 72\.85 GiB on each \(79\.18 GiB × 0\.92\), weights 61\.02",
        ),
        (Wanted(context=50_000), "a context of 50,000 tokens is longer than the model's own, 40,960"),
        (Wanted(tensor=3), "tensor 3; tensor must divide its 64 attention heads"),
        (Wanted(gpus=65), "gpus 65"),
        (Wanted(pipeline=65), "its 64 layers"),
        (Wanted(tensor=16), "fit a node of 8 GPUs"),
        (Wanted(concurrency=5000), "1,024 sequences at once, not 5,000; raise maxNumSeqs"),
        (Wanted(concurrency=1000, context=40_960, gpus=8), r"1,000 × 40,960 tokens would take 1250\.00 GiB"),
    ],
)
def test_what_does_not_fit_is_told_with_its_numbers(wanted: Wanted, message: str) -> None:
    with pytest.raises(DoesNotFitError, match=message):
        plan(qwen(), H100, wanted)


def test_weights_that_no_gpu_holds_are_told_by_how_much() -> None:
    with pytest.raises(DoesNotFitError, match=r"are \d+\.\d\d GiB too much"):
        plan(qwen(), named("T4"), Wanted(gpus=1))


def test_a_plan_is_told_in_a_line_and_a_table() -> None:
    result = plan(qwen(), H100, Wanted(context=40_960))
    assert verdict("Qwen/Qwen3-32B", result) == (
        "Qwen/Qwen3-32B needs 2 × H100-80GB: tensor 2, maxModelLen 40960, 7 requests of that length at once"
    )
    lines = table(result).splitlines()
    assert "  weights     30.51 GiB  61.02 GiB ÷ 2" in lines
    assert len({line.index(" GiB") for line in lines[1:]}) == 1


def test_stages_and_bounds_are_told() -> None:
    result = plan(shape(weights=650 * GIB, at_most=True), H100, Wanted(gpus=16))
    assert sentence(result).startswith(
        "fits 16 × H100-80GB: tensor 8, pipeline 2 on 2 nodes, maxModelLen 40960, at least"
    )
    assert "at most 32 full layers" in table(result)
    assert "what sequences keep is at most this" in table(result)


def test_a_sentence_is_short_whatever_the_plan() -> None:
    gpu = Gpu("N" * 63, 10**15)
    longest = plan(shape(at_most=True, context=2**30), gpu, Wanted(gpus=64, max_num_seqs=65_536))
    assert len(sentence(longest)) < 600
    assert "\n" not in sentence(longest)
