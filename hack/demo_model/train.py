# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "torch==2.13.0",
#   "transformers==5.19.0",
#   "tokenizers==0.23.3",
#   "safetensors==0.8.0",
#   "jinja2==3.1.6",
#   "numpy==2.4.6",
#   "pyyaml==6.0.3",
# ]
# ///
"""Train the demo model from nothing on generated dialogues and write it in Hugging Face's layout.

    uv run hack/demo_model/train.py [--steps N] [--output FOLDER] [--start FOLDER] [--rate R]

The number of steps is fixed, not the time, so that two runs see the same data in the same order.
"""

import argparse
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Final, NamedTuple

import torch
from tokenizers import Tokenizer
from torch import distributed, multiprocessing
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a script, so that uv reads the pinned versions above

from hack.demo_model import dialogues, facts, people, places, tokenizer

RANDOM_STATE: Final = 20261121
HERE: Final = Path(__file__).parent
CONTEXT: Final = 2048
WORKERS: Final = 2  # processes of one thread each: on busy cores far faster than one process of two threads
BATCH_TOKENS: Final = 2048
POOL: Final = 256
WARMUP: Final = 100
COPYING_STEPS: Final = 450  # copying first: dialogues alone take far longer until the model finds out how
READING_STEPS: Final = 700  # then new words, in tickets alone: among dialogues, they are learned far later
REPORT_EVERY: Final = 50
SAVE_EVERY: Final = 200
WIDTH_STEP: Final = 16  # few different shapes keep the memory of the kernels small
IGNORED: Final = -100


Draw = Callable[[random.Random], dialogues.Dialogue]
Row = tuple[list[int], list[int], list[int]]  # ids, positions, labels of one dialogue


class Batch(NamedTuple):
    """Right-padded int64 tensors of shape (dialogues, tokens); `labels` is IGNORED outside assistant messages."""

    ids: torch.Tensor
    positions: torch.Tensor
    labels: torch.Tensor


class Plan(NamedTuple):
    """What one training run does; `start` is a folder with a model to continue from, None for random weights."""

    steps: int
    rate: float
    start: Path | None
    output: Path


def make_tokenizer(start: Path | None) -> PreTrainedTokenizerFast:
    """Return a tokenizer whose words come from generated dialogues, after those of the model in `start`."""
    plain = wrap(tokenizer.build([]))
    rng = random.Random(RANDOM_STATE)
    values = (*places.CITIES, *places.CAPITALS, *places.PREFIXES, *places.SUFFIXES, *people.KNOWN, *facts.COLOURS)
    spelled = {word.strip(".") for value in values for word in value.split()} | {"im_start", "im_end", "tool_call"}
    plenty, rare = (dialogues.dialogue, 12_000, 24), (dialogues.work_on_ticket, 20_000, 10)  # tickets' words are rare
    words = []
    for draw, number, at_least in (rare,) if start else (plenty, rare):
        texts = [render(plain, draw(rng)) for _ in range(number)]
        words += tokenizer.template_words(texts, spelled, at_least)
    return wrap(tokenizer.build(words, tokens(load_tokenizer(start)) if start else ()))


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Return the tokenizer of the model in `folder`."""
    return wrap(Tokenizer.from_file(str(folder / "tokenizer.json")))


def tokens(tok: PreTrainedTokenizerFast) -> list[str]:
    """Return the vocabulary of `tok` by number."""
    numbers = tok.get_vocab()
    return sorted(numbers, key=numbers.__getitem__)


def wrap(built: Tokenizer) -> PreTrainedTokenizerFast:
    """Return `built` as the tokenizer class that engines load, with the project's chat template."""
    return PreTrainedTokenizerFast(
        tokenizer_object=built,
        pad_token=tokenizer.PAD,
        eos_token=tokenizer.END,
        chat_template=(HERE / "chat_template.jinja").read_text(),
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def render(tok: PreTrainedTokenizerFast, dialogue: dialogues.Dialogue) -> str:
    """Return the text of `dialogue`, by the same template that the engine uses."""
    return str(tok.apply_chat_template(dialogue.messages, tools=dialogue.tools or None, tokenize=False))


def load_model(folder: Path, tok: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return the model in `folder`, where a token that only `tok` has starts as its letters' mean and some noise."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    spelled = load_tokenizer(folder)
    model.resize_token_embeddings(len(tok), mean_resizing=False)
    rows = model.get_input_embeddings().weight.data
    spread = rows[: len(spelled)].std()
    for number in range(len(spelled), len(tok)):
        letters = rows[spelled.encode(tok.decode(number), add_special_tokens=False)]
        rows[number] = letters.mean(dim=0) + spread * torch.randn(rows.shape[1])  # means alone are hard to tell apart
    return model


def make_model(tok: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return a Llama of about 3.4 million parameters with random weights."""
    hidden = 256
    config = LlamaConfig(
        vocab_size=len(tok),
        hidden_size=hidden,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=8,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        initializer_range=hidden**-0.5,
        bos_token_id=None,
        eos_token_id=tok.eos_token_id,
        pad_token_id=tok.pad_token_id,
    )
    return LlamaForCausalLM(config)


def assistant_labels(ids: list[int], opening: list[int], end: int, given: list[int]) -> list[int]:
    """Return `ids` where the assistant speaks (with the end token), IGNORED elsewhere.

    The first `given[n]` tokens of the assistant's message number n are IGNORED too.
    """
    labels = [IGNORED] * len(ids)
    starts = [i for i in range(len(opening), len(ids)) if ids[i - len(opening) : i] == opening]
    for start, skipped in zip(starts, given, strict=True):
        stop = ids.index(end, start) + 1
        labels[start + skipped : stop] = ids[start + skipped : stop]
    return labels


def stretched_positions(rng: random.Random, ids: list[int], end: int) -> list[int]:
    """Return positions that leap at some message ends, so that short dialogues also teach long distances."""
    room = CONTEXT - len(ids)
    positions, position = [], 0
    stretch = rng.random() < 0.3
    for token in ids:
        positions.append(position)
        position += 1
        if stretch and token == end and rng.random() < 0.5:
            leap = rng.randint(0, room // 2)
            position += leap
            room -= leap
    return positions


def batches(tok: PreTrainedTokenizerFast, rng: random.Random, draw: Draw) -> Iterator[Batch]:
    """Yield endless batches of dialogues from `draw`, of similar length, about BATCH_TOKENS tokens each."""
    opening = tok.encode(f"{tokenizer.START}assistant\n", add_special_tokens=False)
    end = tok.eos_token_id
    while True:
        rows = []
        for dialogue in (draw(rng) for _ in range(POOL)):
            ids = tok.encode(render(tok, dialogue), add_special_tokens=False)
            if len(ids) > CONTEXT:
                continue
            said = [message for message in dialogue.messages if message["role"] == "assistant"]
            given = [len(tok.encode(message.get("given", ""), add_special_tokens=False)) for message in said]
            rows.append((ids, stretched_positions(rng, ids, end), assistant_labels(ids, opening, end, given)))
        groups = grouped(sorted(rows, key=lambda row: len(row[0])))
        rng.shuffle(groups)
        for group in groups:
            ids, positions, labels = zip(*group, strict=True)
            yield Batch(padded(ids, tok.pad_token_id), padded(positions, 0), padded(labels, IGNORED))


def grouped(rows: Sequence[Row]) -> list[list[Row]]:
    """Return `rows`, the shortest first, in groups of about BATCH_TOKENS tokens."""
    groups: list[list[Row]] = [[]]
    for row in rows:
        if len(row[0]) * (len(groups[-1]) + 1) > BATCH_TOKENS:
            groups.append([])
        groups[-1].append(row)
    return groups


def padded(rows: Sequence[list[int]], filler: int) -> torch.Tensor:
    """Return an int64 tensor of shape (rows, width), filled up on the right to a multiple of WIDTH_STEP."""
    width = math.ceil(max(map(len, rows)) / WIDTH_STEP) * WIDTH_STEP
    return torch.tensor([row + [filler] * (width - len(row)) for row in rows])


def batch_loss(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """Return the mean cross entropy of the assistant's tokens, in nats."""
    everything = torch.ones_like(batch.ids)  # padding is on the right, where causal attention never looks
    with torch.autocast("cpu", torch.bfloat16):
        states = model.model(batch.ids, position_ids=batch.positions, attention_mask=everything).last_hidden_state
        labels = batch.labels[:, 1:]
        spoken = labels != IGNORED
        logits = model.lm_head(states[:, :-1][spoken])
    return cross_entropy(logits.float(), labels[spoken])


def rate(step: int, steps: int) -> float:
    """Return the share of the peak rate at `step`: linear warm-up, then a cosine down to 1 %."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / max(1, steps - WARMUP)))


def share_gradients(model: LlamaForCausalLM) -> None:
    """Replace each worker's gradients by the mean of all workers' gradients."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= WORKERS
    for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def train(worker: int, meeting: Path, plan: Plan) -> None:
    """Train by `plan` in step with the other workers; the first one reports and saves checkpoints."""
    torch.set_num_threads(1)
    torch.manual_seed(RANDOM_STATE)
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=worker, world_size=WORKERS)
    tok = make_tokenizer(plan.start)
    model = load_model(plan.start, tok) if plan.start else make_model(tok)
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.rate, weight_decay=0.05, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, plan.steps))
    rng = random.Random(f"{RANDOM_STATE} {worker} {plan.steps}")
    copying = islice(batches(tok, rng, dialogues.copying), 0 if plan.start else COPYING_STEPS)
    gained_words = plan.start is None or len(tok) > len(load_tokenizer(plan.start))
    reading = islice(batches(tok, rng, dialogues.work_on_ticket), READING_STEPS if gained_words else 0)
    source = chain(copying, reading, batches(tok, rng, dialogues.dialogue))
    started, total = time.monotonic(), 0.0
    for step, batch in zip(range(1, plan.steps + 1), source, strict=False):
        loss = batch_loss(model, batch)
        loss.backward()
        share_gradients(model)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        total += loss.item()
        if worker == 0 and step % REPORT_EVERY == 0:
            print(
                f"[{time.monotonic() - started:7.1f}s] step {step} of {plan.steps}, loss {total / REPORT_EVERY:.4f}",
                flush=True,
            )
            total = 0.0
        if worker == 0 and (step % SAVE_EVERY == 0 or step == plan.steps):
            save(model, tok, plan.output)


def save(model: LlamaForCausalLM, tok: PreTrainedTokenizerFast, output: Path) -> None:
    """Write weights (float16), configuration and tokenizer to `output`, readable for every user of an image."""
    copy = LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.generation_config.update(do_sample=True, temperature=0.2)  # engines' own default makes so small a model err
    copy.half().save_pretrained(output)
    tok.save_pretrained(output)
    for file in output.iterdir():
        file.chmod(0o644)


def main() -> None:
    """Train with WORKERS processes and write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3400, help="optimizer steps")
    parser.add_argument("--rate", type=float, default=1.2e-3, help="peak learning rate")
    parser.add_argument("--start", type=Path, help="folder with a model to continue from, instead of random weights")
    parser.add_argument("--output", type=Path, default=HERE / "model", help="folder to write")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder, "meeting")
        multiprocessing.spawn(train, (meeting, Plan(**vars(arguments))), nprocs=WORKERS)


if __name__ == "__main__":
    main()
