"""Shapes of well-known models, for where their files cannot be asked."""

from tandem_operator.sizing.shape import ModelShape


def known(repository: str) -> ModelShape | None:
    """Return the shape of a repository of the hub, such as `Qwen/Qwen3-32B`, or None where it is not known."""
    raise NotImplementedError
