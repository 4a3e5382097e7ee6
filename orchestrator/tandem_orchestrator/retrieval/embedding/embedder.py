"""What makes vectors of texts."""

from collections.abc import Sequence
from typing import Protocol

from tandem_orchestrator.errors import TextRefused
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.retrieval.embedding.identity import Identity
from tandem_orchestrator.retrieval.embedding.vector import Vector


class Embedder(Protocol):
    """Makes vectors; `record` is of whoever asks, whose tenant keeps what is cached apart, and who pays an engine."""

    @property
    def identity(self) -> Identity:
        """What a store is to remember; its dimension is known from the first vector on."""

    @property
    def problem(self) -> str | None:
        """Why it makes no vectors at the moment, in a sentence."""

    async def documents(self, texts: Sequence[str], record: Record) -> list[Vector]:
        """Return a vector for each piece of a document, in their order.

        For work in the background: few requests at the same time, whoever calls. Raises `TextRefused`, which names the
        text; `EmbedderAway`, after which to try later; `WrongVectors`; or another `GatewayError`.
        """

    async def query(self, text: str, record: Record) -> Vector:
        """Return the vector of what is searched for. Raises the same."""

    async def prepare(self) -> None:
        """Do what would make the first one wait."""

    async def close(self) -> None:
        """Let go of what is open."""


def clean(texts: Sequence[str], prompt: str) -> list[str]:
    """Return them as models get them: behind their prompt, and without halves of characters, which no JSON can hold.

    Raises `TextRefused` for an empty one, at which some engines fail.
    """
    for position, text in enumerate(texts):
        if not text or text.isspace():
            raise TextRefused("the text is empty", position=position)
    return [(prompt + text).encode(errors="replace").decode() for text in texts]
