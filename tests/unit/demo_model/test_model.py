"""The trained model as it is shipped."""

import json
from pathlib import Path

import hack.demo_model

FOLDER = Path(hack.demo_model.__file__).parent
MODEL = FOLDER / "model"
LIMIT = 8_000_000  # bytes


def test_it_is_small_and_readable_for_every_user_of_an_image() -> None:
    files = list(MODEL.iterdir())
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= {f.name for f in files}
    assert sum(file.stat().st_size for file in files) < LIMIT
    assert [file.name for file in files if not file.stat().st_mode & 0o004] == []


def test_its_chat_template_is_the_one_it_was_trained_with() -> None:
    assert (MODEL / "chat_template.jinja").read_text() == (FOLDER / "chat_template.jinja").read_text()


def test_its_vocabulary_fits_its_weights() -> None:
    config = json.loads((MODEL / "config.json").read_text())
    tokenizer = json.loads((MODEL / "tokenizer.json").read_text())
    tokens = {*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])}
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert tokens == set(range(config["vocab_size"]))
