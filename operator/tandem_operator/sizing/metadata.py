"""A model's shape from the small files beside its weights."""

import json
from collections.abc import Callable
from typing import Any, Final

from tandem_operator.sizing.config import read_shape
from tandem_operator.sizing.fields import Fields
from tandem_operator.sizing.shape import ModelShape, UnknownShapeError

CONFIG: Final = "config.json"
INDEX: Final = "model.safetensors.index.json"
WEIGHTS: Final = "model.safetensors"
_LONGEST: Final = 64 * 2**20
"""Bytes of the longest file that is read; the index of a model with a trillion parameters has 20 MB."""
_LENGTH_BYTES: Final = 8
_MOST_BYTES: Final = 2**46

Read = Callable[[str, int], bytes | None]
"""Returns the beginning of a file of the model, at most so many bytes, or None where there is no such file."""


def read_metadata(read: Read) -> ModelShape:
    """Return the shape of a model whose files are read so; UnknownShapeError says which file tells too little.

    The weights are those of the index or of the one file without an index, never the sum of all files: repositories
    hold copies in other formats, as gpt-oss does in `original/`.
    """
    config = _whole(read, CONFIG)
    if config is None:
        raise UnknownShapeError(
            f"there is no {CONFIG}; a model is told by {CONFIG} with {INDEX} or {WEIGHTS}, not by GGUF or params.json"
        )
    index = _whole(read, INDEX)
    return read_shape(config, _of_file(read) if index is None else _of_index(index))


def _of_index(index: dict[str, Any]) -> int:
    """Return the bytes of all tensors as the index tells them."""
    metadata = Fields(index, f"{INDEX}: ").inner("metadata")
    return (metadata or Fields({}, f"{INDEX}: metadata.")).number("total_size", most=_MOST_BYTES)


def _of_file(read: Read) -> int | None:
    """Return the bytes of all tensors in the one file of weights, or None where there is none.

    A safetensors file begins with the length of its header, in eight bytes, and the header, which is JSON.
    """
    begin = read(WEIGHTS, _LENGTH_BYTES)
    if begin is None:
        return None
    length = int.from_bytes(begin, "little")
    if len(begin) < _LENGTH_BYTES or not 1 <= length <= _LONGEST:
        raise UnknownShapeError(f"{WEIGHTS} is no safetensors file: its header would have {length:,} bytes")
    header = _parsed((read(WEIGHTS, _LENGTH_BYTES + length) or b"")[_LENGTH_BYTES:], WEIGHTS)
    ends = [_end(name, tensor) for name, tensor in header.items() if name != "__metadata__"]
    return max(ends, default=0) or None


def _end(name: str, tensor: Any) -> int:
    offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
    match offsets:
        case [int(begin), int(end)] if 0 <= begin <= end <= _MOST_BYTES:
            return end
    raise UnknownShapeError(f"{WEIGHTS}: data_offsets of tensor {name[:64]!r} are not two offsets in a file")


def _whole(read: Read, name: str) -> dict[str, Any] | None:
    """Return the object in a file, or None where there is no such file."""
    content = read(name, _LONGEST + 1)
    if content is None:
        return None
    if len(content) > _LONGEST:
        raise UnknownShapeError(f"{name} is longer than {_LONGEST // 2**20} MiB")
    return _parsed(content, name)


def _parsed(content: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnknownShapeError(f"{name} is no JSON: {str(error)[:200]}") from None
    if not isinstance(value, dict):
        raise UnknownShapeError(f"{name} is no JSON object")
    return value
