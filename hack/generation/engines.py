"""What each engine can, as a table, from the classes that the operator asks."""

from collections.abc import Iterator

from tandem_operator.engines import ENGINES
from tandem_operator.engines.base import Capability

HEADER = ("", *(f"`{kind}`" for kind in ENGINES))


def rows() -> Iterator[tuple[str, ...]]:
    """Yield a line for each capability, with a cell for each engine, and one for where its models may be."""
    yield "`model.source`", *(" ".join(f"`{scheme}://`" for scheme in engine.sources) for engine in ENGINES.values())
    for capability in Capability:
        yield capability, *("yes" if capability in engine.capabilities else "" for engine in ENGINES.values())


def images() -> Iterator[tuple[str, ...]]:
    """Yield an engine, an accelerator and the image that it has there without `engine.image`."""
    for kind, engine in ENGINES.items():
        for accelerator, image in engine.images.items():
            yield f"`{kind}`", f"`{accelerator}`", f"`{image}`"
