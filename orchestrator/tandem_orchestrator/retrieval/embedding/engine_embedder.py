"""Vectors by a model of one of the upstreams, which is asked as clients ask it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import batched
from typing import Any, Final

import structlog
from tandem_contract.config import Embedding

from tandem_orchestrator.engines.catalogue import Catalogue, Model
from tandem_orchestrator.engines.dispatch import Call, Dispatcher
from tandem_orchestrator.engines.endpoints import EMBEDDINGS, ENDPOINTS
from tandem_orchestrator.errors import (
    EmbedderAway,
    EngineError,
    GatewayError,
    Malformed,
    Refused,
    RetryLater,
    TextRefused,
    UnknownModel,
    WrongVectors,
)
from tandem_orchestrator.gateway import rewrite
from tandem_orchestrator.gateway.request import Request
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.retrieval.embedding.cache import VectorCache
from tandem_orchestrator.retrieval.embedding.embedder import clean
from tandem_orchestrator.retrieval.embedding.identity import Identity
from tandem_orchestrator.retrieval.embedding.vector import Vector, dimension, of_answer

BATCHES: Final = 2
"""Requests of the background at the same time, in each process: with one an engine that embeds text after text reached
97 % of its rate, with two all of it, and with more no more."""
PATIENCE_SECONDS: Final = 300.0  # with a batch, waiting for an engine included
RETRY_AFTER: Final = 5.0
INPUT: Final = frozenset({400, 413, 422})  # statuses of engines that do not like a text, or so many of them
TURN: Final = 64  # vectors that are read before others go on: a millisecond

Numbered = Sequence[tuple[int, str]]
"""Texts, and their positions among those that somebody wants embedded."""

log = structlog.get_logger()


class EngineEmbedder:
    """Asks `settings.model`, as often as the hold and the retries of all requests say."""

    def __init__(
        self, settings: Embedding, catalogue: Catalogue, dispatcher: Dispatcher, cache: VectorCache | None = None
    ) -> None:
        self._settings = settings
        self._name = settings.model or ""
        self._catalogue = catalogue
        self._dispatcher = dispatcher
        self._cache = cache
        self._turns = asyncio.Semaphore(BATCHES)
        self._dimension = settings.dimensions
        self._batch_size = settings.batch_size
        self._in_base64 = True
        self.problem: str | None = None
        """Why it made no vectors when it was last asked to."""

    @property
    def identity(self) -> Identity:
        """What a store is to remember."""
        settings = self._settings
        return Identity(self._name, self._dimension, settings.document_prompt, settings.query_prompt)

    async def documents(self, texts: Sequence[str], record: Record) -> list[Vector]:
        """Return a vector for each text, in batches of which `BATCHES` are under way, whoever calls."""
        numbered = list(enumerate(clean(texts, self._settings.document_prompt)))
        try:
            async with asyncio.TaskGroup() as group:
                batches = batched(numbered, self._batch_size, strict=False)
                tasks = [group.create_task(self._in_turn(batch, record)) for batch in batches]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [vector for task in tasks for vector in task.result()]

    async def query(self, text: str, record: Record) -> Vector:
        """Return the vector of a question; it waits for no document."""
        (asked,) = clean([text], self._settings.query_prompt)
        (vector,) = await self._known([(0, asked)], record)
        return vector

    async def prepare(self) -> None:
        """Do nothing: an engine may come later."""

    async def close(self) -> None:
        """Let go of the cache."""
        if self._cache is not None:
            await self._cache.close()

    async def _in_turn(self, texts: Numbered, record: Record) -> list[Vector]:
        async with self._turns:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    return await self._known(texts, record)
            except TimeoutError:
                raise self._failed(
                    EmbedderAway(
                        f"the embedding model {self._name!r} did not answer {len(texts)} texts within "
                        f"{PATIENCE_SECONDS:g} s: its engine hangs, or is too slow for retrieval.embedding.batchSize",
                        retry_after=RETRY_AFTER,
                    )
                ) from None

    async def _known(self, texts: Numbered, record: Record) -> list[Vector]:
        """Return vectors from the cache, and from the engine what it has not."""
        if self._cache is None:
            return await self._made(texts, record)
        tenant = record.tenant or ""
        found = await self._cache.get(tenant, [text for _, text in texts])
        vectors = {
            text: vector
            for (_, text), vector in zip(texts, found, strict=True)
            if vector is not None and self._fits(vector)
        }
        missing = [(position, text) for position, text in texts if text not in vectors]
        if missing:
            made = dict(zip([text for _, text in missing], await self._made(missing, record), strict=True))
            await self._cache.put(tenant, made)
            vectors |= made
        return [vectors[text] for _, text in texts]

    async def _made(self, texts: Numbered, record: Record) -> list[Vector]:
        """Ask the engine; where it refuses a batch, by halves until it is clear which text it does not take."""
        try:
            return await self._ask(texts, record)
        except Refused as error:
            if len(texts) == 1:
                raise TextRefused(
                    f"the embedding model refuses the text: {error.message}", position=texts[0][0]
                ) from None
        half = (len(texts) + 1) // 2
        vectors = [*await self._made(texts[:half], record), *await self._made(texts[half:], record)]
        if half < self._batch_size:  # no text was to blame
            log.info("the embedding model takes fewer texts at once", model=self._name, texts=half)
            self._batch_size = half
        return vectors

    async def _ask(self, texts: Numbered, record: Record) -> list[Vector]:
        """Raise `Refused` only for what the texts may be the reason of."""
        in_base64 = self._in_base64  # another one's answer may change it meanwhile
        try:
            vectors = await self._read(await self._answer([text for _, text in texts], record), len(texts))
        except GatewayError as error:
            if isinstance(error, Refused) and error.status in INPUT:
                if in_base64 and _is_about(error, "encoding_format", "base64"):
                    self._in_base64 = False
                    return await self._ask(texts, record)
                if not self._is_setting(error):
                    raise
            raise self._failed(error) from None
        self.problem = None
        return vectors

    def _is_setting(self, error: Refused) -> bool:
        return self._settings.dimensions is not None and _is_about(error, "dimensions", "matryoshka")

    def _failed(self, error: GatewayError) -> GatewayError:
        """Return what it means to whoever wants vectors that the engine gave none."""
        if isinstance(error, Refused) and self._is_setting(error):
            error = EmbedderAway(
                f"the model {self._name!r} refuses retrieval.embedding.dimensions: {error.message}",
                retry_after=RETRY_AFTER,
            )
        elif isinstance(error, Malformed):
            if not isinstance(error, WrongVectors):  # which name the model already
                error = WrongVectors(f"the embedding model {self._name!r} answered wrong: {error.message}")
        elif isinstance(error, RetryLater | UnknownModel | EngineError):
            error = EmbedderAway(
                f"the embedding model {self._name!r} cannot be asked now: {error.message}", retry_after=RETRY_AFTER
            )
        self.problem = error.message
        return error

    async def _answer(self, texts: list[str], record: Record) -> dict[str, Any]:
        model = self._model()
        payload: dict[str, Any] = {"input": texts}
        if self._in_base64:
            payload["encoding_format"] = "base64"
        if self._settings.dimensions is not None:
            payload["dimensions"] = self._settings.dimensions
        request = Request(ENDPOINTS[EMBEDDINGS], payload, model.name, stream=False)
        rewrite.apply(request, model, record.tenant, len(texts))
        own = Record(record.request_id)  # what is known of the request that this serves is not to change
        own.route, own.model, own.tenant, own.trace = EMBEDDINGS, model.name, record.tenant, record.trace
        try:
            _, answer = await self._dispatcher.complete(Call(EMBEDDINGS, model, own), request.body())
            return answer
        finally:
            record.count_tokens(own.prompt_tokens, own.completion_tokens)
            record.engine_seconds += own.engine_seconds

    def _model(self) -> Model:
        """Return the model without its fallback, whose vectors would lie elsewhere. Raises `UnknownModel`."""
        model = self._catalogue.find(self._name)
        if model.settings.fallback is None:
            return model
        return replace(model, settings=model.settings.model_copy(update={"fallback": None}))

    async def _read(self, answer: dict[str, Any], number: int) -> list[Vector]:
        entries = in_order(answer["data"], number)
        vectors: list[Vector] = []
        for position, entry in enumerate(entries):
            if position % TURN == TURN - 1:
                await asyncio.sleep(0)
            try:
                vector = of_answer(entry.get("embedding"))
            except WrongVectors as error:
                raise WrongVectors(f"the embedding model {self._name!r} answered wrong: {error.message}") from None
            if not self._fits(vector):
                raise WrongVectors(
                    f"the embedding model {self._name!r} answered a vector of {dimension(vector)} numbers where "
                    f"{self._dimension} were expected: another model is behind its name, with which stores must be "
                    "indexed again, or it does not make vectors of retrieval.embedding.dimensions"
                )
            vectors.append(vector)
        return vectors

    def _fits(self, vector: Vector) -> bool:
        """Return whether it has the dimension of all others; the first one tells it."""
        if self._dimension is None:
            self._dimension = dimension(vector)
        return dimension(vector) == self._dimension


def in_order(data: list[Any], number: int) -> list[dict[str, Any]]:
    """Return the entries of `data`, one for each of so many texts, by their `index`. Raises `WrongVectors`."""
    if len(data) != number:
        raise WrongVectors(f"the embedding model answered {len(data)} vectors for {number} texts")
    if not all(isinstance(entry, dict) for entry in data):
        raise WrongVectors("the embedding model's `data` has something else than objects in it")
    places: list[Any] = [entry.get("index") for entry in data]
    if places == [None] * number:
        return data
    by_place = {place: entry for place, entry in zip(places, data, strict=True) if type(place) is int}
    if by_place.keys() != set(range(number)):
        raise WrongVectors(f"the embedding model's vectors have not each an `index` of 0 to {number - 1}")
    return [by_place[place] for place in range(number)]


def _is_about(error: Refused, *words: str) -> bool:
    said = f"{error.param} {error.message}".lower()
    return any(word in said for word in words)
