"""Shapes from files, as a folder and the hub give them."""

import json
from collections.abc import Mapping

import pytest
from tandem_operator.sizing.metadata import read_metadata
from tandem_operator.sizing.shape import ModelShape, UnknownShapeError

CONFIG = {
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "hidden_size": 64,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
}
INDEX = {"metadata": {"total_size": 123_456}, "weight_map": {}}


def shape_of(files: Mapping[str, object]) -> ModelShape:
    contents = {name: what if isinstance(what, bytes) else json.dumps(what).encode() for name, what in files.items()}
    return read_metadata(lambda name, most: contents[name][:most] if name in contents else None)


def safetensors(header: object) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"tensors"


def tensor(begin: object, end: object) -> dict[str, object]:
    return {"dtype": "BF16", "shape": [1], "data_offsets": [begin, end]}


def test_weights_are_those_of_the_index_and_not_of_copies() -> None:
    copy = safetensors({"x": tensor(0, 999_999)})
    files = {"config.json": CONFIG, "model.safetensors.index.json": INDEX, "original/model.safetensors": copy}
    assert shape_of(files).weights == 123_456


def test_weights_of_a_single_file_are_told_by_its_header() -> None:
    header = {"__metadata__": {"format": "pt"}, "b": tensor(80_000, 90_000), "a": tensor(0, 80_000)}
    assert shape_of({"config.json": CONFIG, "model.safetensors": safetensors(header)}).weights == 90_000


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "there is no config.json"),
        ({"config.json": b"{"}, "config.json is no JSON"),
        ({"config.json": b"\xff\xfe"}, "config.json is no JSON"),
        ({"config.json": [CONFIG]}, "config.json is no JSON object"),
        ({"config.json": b'{"a":' * 200_000}, "config.json is no JSON"),
        ({"config.json": b'{"a": ' + b"9" * 5000 + b"}"}, "config.json is no JSON"),
        ({"config.json": CONFIG}, "the size of the weights is unknown"),
    ],
)
def test_what_tells_too_little_is_refused(files: dict[str, object], message: str) -> None:
    with pytest.raises(UnknownShapeError, match=message):
        shape_of(files)


@pytest.mark.parametrize("size", [-1, 0, 1e300, 123.0, "123", True, None, 10**30])
def test_an_absurd_index_is_refused_and_no_other_file_asked(size: object) -> None:
    files = {"config.json": CONFIG, "model.safetensors": safetensors({"a": tensor(0, 80_000)})}
    with pytest.raises(UnknownShapeError, match=r"^model\.safetensors\.index\.json: metadata\.total_size is "):
        shape_of({**files, "model.safetensors.index.json": {"metadata": {"total_size": size}}})


def test_an_index_without_metadata_is_refused() -> None:
    with pytest.raises(UnknownShapeError, match=r"metadata\.total_size is missing"):
        shape_of({"config.json": CONFIG, "model.safetensors.index.json": {"weight_map": {}}})


def test_an_endless_index_is_refused_unread() -> None:
    asked = []

    def read(name: str, most: int) -> bytes | None:
        asked.append(most)
        return json.dumps(CONFIG).encode() if name == "config.json" else bytes(most)

    with pytest.raises(UnknownShapeError, match=r"index\.json is longer than 64 MiB"):
        read_metadata(read)
    assert max(asked) <= 64 * 2**20 + 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\1\2",
        bytes(8),
        b"\xff" * 16,
        safetensors(b"[]"),
        safetensors({"a": 1}),
        safetensors({"a": tensor(-1, 5)}),
        safetensors({"a": tensor(0, 1e300)}),
        safetensors({"a": tensor(0, 10**30)}),
        safetensors({"a": tensor(5, 4)}),
        safetensors({"a": tensor(0, 1)}),
        safetensors({}),
    ],
)
def test_a_strange_file_of_weights_is_refused(content: bytes) -> None:
    with pytest.raises(UnknownShapeError):
        shape_of({"config.json": CONFIG, "model.safetensors": content})
