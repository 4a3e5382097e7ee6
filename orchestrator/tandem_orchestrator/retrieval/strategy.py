"""How a file is cut into pieces, as clients ask for it and as a store remembers it. Decides; does no I/O.

Limits as in OpenAI's API (openapi 2.3.0): 100 to 4,096 tokens, at most half of them repeated.
"""

from typing import Any, Final, NamedTuple

import orjson
from tandem_contract.config import Chunking

from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.retrieval.parsing.chunker import Chunker

LEAST_TOKENS: Final = 100
MOST_TOKENS: Final = 4096
AUTO: Final = ""
"""What is kept of a file that is cut as its store says."""


class Static(NamedTuple):
    """Pieces of the same size."""

    max_tokens: int
    overlap: int


def strategy_of(value: Any, path: str = "chunking_strategy") -> str:
    """Return what is kept of a request's strategy. Raises `BadRequest`."""
    kind = value.get("type") if isinstance(value, dict) else None
    if value is None or kind == "auto":
        return AUTO
    static = value.get("static") if kind == "static" else None
    if not isinstance(static, dict):
        raise BadRequest(
            f'`{path}` must be {{"type": "auto"}}, or {{"type": "static", "static": {{"max_chunk_size_tokens": …, '
            '"chunk_overlap_tokens": …}}',
            param=path,
        )
    where = f"{path}.static"
    most = _tokens(static, "max_chunk_size_tokens", LEAST_TOKENS, MOST_TOKENS, where)
    overlap = _tokens(static, "chunk_overlap_tokens", 0, most // 2, where)
    return orjson.dumps([most, overlap]).decode()


def default_strategy(settings: Chunking) -> str:
    """Return what a store keeps of the service's own strategy."""
    return orjson.dumps([settings.max_tokens, settings.overlap_tokens]).decode()


def chunker_of(kept: str, of_store: str) -> Chunker:
    """Return what cuts a file."""
    static = Static(*orjson.loads(kept or of_store))
    return Chunker(static.max_tokens, static.overlap, structure=kept == AUTO)


def shown(kept: str, of_store: str) -> dict[str, Any]:
    """Return a strategy as clients see it."""
    static = Static(*orjson.loads(kept or of_store))
    sizes = {"max_chunk_size_tokens": static.max_tokens, "chunk_overlap_tokens": static.overlap}
    return {"type": "static", "static": sizes}


def _tokens(static: dict[str, Any], name: str, least: int, most: int, path: str) -> int:
    value = static.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BadRequest(f"`{path}.{name}` must be a number from {least} to {most}", param=f"{path}.{name}")
    return value
