"""A model's shape from the small files beside its weights."""

from collections.abc import Callable

from tandem_operator.sizing.shape import ModelShape

Read = Callable[[str, int], bytes | None]
"""Returns the beginning of a file of the model, at most so many bytes, or None where there is no such file."""


def read_metadata(read: Read) -> ModelShape:
    """Return the shape of a model whose files are read so; UnknownShapeError says which file tells too little."""
    raise NotImplementedError
