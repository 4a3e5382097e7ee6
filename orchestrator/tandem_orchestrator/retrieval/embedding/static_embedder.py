"""Vectors by a static model in this process, which needs the extra `embeddings`."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from tandem_contract.config import Embedding

from tandem_orchestrator.errors import EmbedderAway, TextRefused
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.retrieval.embedding.embedder import clean
from tandem_orchestrator.retrieval.embedding.identity import Identity
from tandem_orchestrator.retrieval.embedding.vector import Vector

if TYPE_CHECKING:
    from tandem_orchestrator.retrieval.embedding.static_model import StaticModel

NEEDED: Final = ("numpy", "safetensors", "tokenizers")
FILES: Final = ("model.safetensors", "tokenizer.json")
AT_ONCE: Final = 16  # texts that go to the thread together: of 1,000 tokens each, 30 ms
THREADS: Final = 2  # one for documents, one for questions
RETRY_AFTER: Final = 60.0

log = structlog.get_logger()


def lacks(folder: Path) -> str | None:
    """Return what is missing for a model in `folder`, in a sentence."""
    if absent := [name for name in NEEDED if find_spec(name) is None]:
        return (
            f"retrieval.embedding.path needs the extra tandem-orchestrator[embeddings]: {', '.join(absent)} "
            f"{'is' if len(absent) == 1 else 'are'} not installed"
        )
    if absent := [name for name in FILES if not (folder / name).is_file()]:
        return f"retrieval.embedding.path: {folder} has no {' and no '.join(absent)}"
    return None


class StaticEmbedder:
    """Reads the model when it is first needed. What it makes is counted as nobody's tokens: no engine has read them."""

    def __init__(self, settings: Embedding) -> None:
        self._settings = settings
        self._folder = Path(settings.path or "")
        self._model: StaticModel | None = None
        self._reading = asyncio.Lock()
        self._documents = asyncio.Lock()
        self._threads = ThreadPoolExecutor(THREADS, "embedding")
        self.problem = lacks(self._folder)
        """Why it makes no vectors."""

    @property
    def identity(self) -> Identity:
        """What a store is to remember: all of it once the model has been read."""
        settings, model = self._settings, self._model
        prompts = settings.document_prompt, settings.query_prompt
        if model is None:
            return Identity(self._folder.name, settings.dimensions, *prompts)
        return Identity(self._folder.name, model.dimension, *prompts, model.fingerprint)

    async def documents(self, texts: Sequence[str], record: Record) -> list[Vector]:  # noqa: ARG002 # as `Embedder` says
        """Return a vector for each text; one caller after the other, some texts at a time."""
        model = await self._read()
        vectors: list[Vector] = []
        for some in batched(clean(texts, self._settings.document_prompt), AT_ONCE, strict=False):
            async with self._documents:
                vectors += await self._in_thread(model, some, len(vectors))
        return vectors

    async def query(self, text: str, record: Record) -> Vector:  # noqa: ARG002
        """Return the vector of a question; it waits for no document."""
        model = await self._read()
        (vector,) = await self._in_thread(model, clean([text], self._settings.query_prompt), 0)
        return vector

    async def prepare(self) -> None:
        """Read the model, or find out why it cannot be read."""
        if self.problem is None:
            try:
                await self._read()
            except EmbedderAway as error:
                log.warning("texts cannot be embedded", problem=error.message)

    async def close(self) -> None:
        """End the threads, once their texts are done."""
        self._threads.shutdown(wait=False)

    async def _in_thread(self, model: "StaticModel", texts: Sequence[str], first: int) -> list[Vector]:
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: [model.vector(text) for text in texts]
        )
        vectors = [vector for vector in found if vector is not None]
        if len(vectors) < len(found):
            raise TextRefused(
                f"the text has no word that the embedding model {self._folder.name!r} knows",
                position=first + found.index(None),
            )
        return vectors

    async def _read(self) -> "StaticModel":
        """Return the model. Raises `EmbedderAway`, and looks again at the next call."""
        if self._model is None:
            async with self._reading:
                if self._model is None:
                    self.problem = lacks(self._folder)
                    if self.problem is None:
                        self._model = await asyncio.get_running_loop().run_in_executor(self._threads, self._load)
        if self._model is None:
            raise EmbedderAway(self.problem or "", retry_after=RETRY_AFTER)
        return self._model

    def _load(self) -> "StaticModel | None":
        from tandem_orchestrator.retrieval.embedding.static_model import StaticModel, Unusable  # noqa: PLC0415 # 20 MB

        try:
            return StaticModel(self._folder, self._settings.dimensions)
        except Unusable as error:
            self.problem = f"retrieval.embedding.path: {error}"
            return None
