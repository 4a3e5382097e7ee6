"""What comes of a repository, and what does not."""

import pytest
from tandem_operator.model_store.selection import Selection, chosen

USUAL = Selection()


@pytest.mark.parametrize(
    ("path", "comes"),
    [
        ("config.json", True),
        ("generation_config.json", True),
        ("tokenizer.model", True),
        ("qwen.tiktoken", True),
        ("merges.txt", True),
        ("chat_template.jinja", True),
        ("additional_chat_templates/tools.jinja", True),
        ("1_Pooling/config.json", True),
        ("2_Dense/model.safetensors", True),
        ("README.md", False),
        (".gitattributes", False),
        (".tandem.json", False),
        ("modeling_x.py", False),
        ("original/params.json", False),
        ("original/consolidated.00.pth", False),
        ("onnx/model.onnx", False),
        ("onnx/config.json", False),
        ("model-q4.gguf", False),
        ("tf_model.h5", False),
        ("flax_model.msgpack", False),
        ("pytorch_model.bin", False),
        ("checkpoint-500/model.safetensors", False),
        ("../outside.json", False),
        ("a/../../outside.json", False),
        ("/etc/passwd.json", False),
        ("nul\0.json", False),
    ],
)
def test_what_engines_load_comes(path, comes) -> None:
    assert (path in chosen([path, "model.safetensors"], USUAL)) is comes


def test_pickled_weights_come_where_there_are_no_others() -> None:
    pickled = ["pytorch_model.bin", "scheduler.pt", "training_args.bin", "voice.pt"]
    assert chosen(pickled, USUAL) == ["pytorch_model.bin", "voice.pt"]
    assert chosen([*pickled, "model.safetensors"], USUAL) == ["model.safetensors"]


def test_the_same_weights_come_once() -> None:
    twice = ["consolidated.safetensors", "model.safetensors"]
    assert chosen(twice, USUAL) == ["model.safetensors"]
    assert chosen(["consolidated.safetensors"], USUAL) == ["consolidated.safetensors"]
    assert chosen(twice, Selection(allowed=("consolidated*",))) == twice


def test_what_is_asked_for_comes() -> None:
    paths = ["a.gguf", "b.gguf", "config.json", "model.safetensors", "modeling.py"]
    assert chosen(paths, Selection(files=("b.gguf",))) == ["b.gguf"]
    assert chosen(paths, Selection(allowed=("*.gguf",))) == ["a.gguf", "b.gguf", "config.json", "model.safetensors"]
    assert chosen(paths, Selection(code=True)) == ["config.json", "model.safetensors", "modeling.py"]
    assert chosen(["../b.gguf"], Selection(files=("../b.gguf",), allowed=("*",))) == []


def test_selections_are_told_apart_whatever_their_order() -> None:
    marks = {selection.mark for selection in (Selection(("a",)), Selection((), ("a",)), Selection((), (), code=True))}
    assert len(marks) == 3
    assert Selection(("a", "b")).mark == Selection(("b", "a")).mark
    assert Selection().mark == ""
