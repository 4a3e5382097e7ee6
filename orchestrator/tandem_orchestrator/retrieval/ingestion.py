"""Brings files into the indexes of vector stores, in the background: read, cut, embedded, added piece by piece."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog
from tandem_contract.config import Ingestion as Settings
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.errors import Clash, EngineError, GatewayError, NotFound, RetryLater, TextRefused
from tandem_orchestrator.observability.metrics import INGESTED_CHUNKS, INGESTION_AGE, INGESTION_QUEUED, INGESTIONS
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.part import Part
from tandem_orchestrator.retrieval.chunk import Chunk
from tandem_orchestrator.retrieval.embedding.embedder import Embedder
from tandem_orchestrator.retrieval.embedding.embedders import Embedders
from tandem_orchestrator.retrieval.embedding.vector import Vector, dimension, numbers
from tandem_orchestrator.retrieval.index import Embedded, Indexes
from tandem_orchestrator.retrieval.kept import Kept
from tandem_orchestrator.retrieval.parsing import FileRefused, ParseLimits, Parser
from tandem_orchestrator.retrieval.stores import UNMADE, remembered
from tandem_orchestrator.retrieval.strategy import chunker_of
from tandem_orchestrator.retrieval.work import ToDo, Work, Works
from tandem_orchestrator.store.database import Conflict, Database
from tandem_orchestrator.store.rows import now

LOOK_SECONDS: Final = 1.0  # between two looks for what others have queued
LIFE_SECONDS: Final = 5.0
FIRST_PAUSE_MS: Final = 1000  # after what a file needs was away; doubles
LONGEST_PAUSE_MS: Final = 300_000
REFUSED_PAUSE_MS: Final = 3_600_000  # for a file that cannot be brought into an index that is to take another's place
PATIENCE_MS: Final = 86_400_000  # after which a file fails whose needs are still away
MOST_CLAIMS: Final = 5  # by processes that ended without a word
CLOSE_SECONDS: Final = 10.0
SERVER_ERROR: Final = "server_error"
PIECES: Final = 64  # added in one transaction

log = structlog.get_logger()


class Ingestion(Part):
    """Takes files from the queue, as many as may be read at the same time."""

    def __init__(
        self,
        config: OrchestratorConfig,
        database: Database,
        kept: Kept,
        embedders: Embedders,
        may_begin: Callable[[], bool],
    ) -> None:
        self._database = database
        self._works = kept.works
        self._files = kept.file_store
        self._indexes = kept.indexes
        self._embedders = embedders
        self._may_begin = may_begin
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._forgotten: set[tuple[str, str]] = set()
        self.update(config)

    def update(self, config: OrchestratorConfig) -> None:
        """Take changed settings."""
        self._settings: Settings = config.retrieval.ingestion
        self._parser = Parser(limits_of(self._settings))

    async def watch(self) -> None:
        """Take what is queued and what is left behind; run until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_taking())
            group.create_task(self._keep_living())

    async def close(self) -> None:
        """Give back what others can go on with."""
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=CLOSE_SECONDS)

    async def _keep_taking(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._works.woken.wait()
            self._works.woken.clear()
            with suppress(GatewayError):  # which has been logged, and shows in metrics and /health
                await self._take()

    async def _take(self) -> None:
        room = self._settings.concurrency - len(self._tasks)
        if room > 0 and self._may_begin() and self._database.exists and await self._works.any():
            for work in await self._works.claim(room):
                self._begin(work)

    async def _keep_living(self) -> None:
        while True:
            with suppress(GatewayError):
                if self._database.exists:
                    await self._live()
            await asyncio.sleep(LIFE_SECONDS)

    async def _live(self) -> None:
        number, since = await self._works.queued()
        INGESTION_QUEUED.set(number)
        INGESTION_AGE.set((now() - since) / 1000)
        if self._tasks:
            await self._works.live()
        tasks = dict(self._tasks)  # those that are begun meanwhile may not be in what is read
        mine = await self._works.mine()
        for key in tasks.keys() - mine:  # detached, or taken over
            tasks[key].cancel()
        forgotten = mine - self._tasks.keys()
        for key in forgotten & self._forgotten:  # how they ended could not be written
            await self._works.abandon(key)
        self._forgotten = forgotten
        room = self._settings.concurrency - len(self._tasks)
        if room > 0 and self._may_begin():
            for work in await self._works.claim_left(room):
                self._begin(work)

    def _begin(self, work: Work) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(work))
        self._tasks[work.key] = task

        def ended(_: asyncio.Task[None]) -> None:
            if self._tasks.get(work.key) is task:
                del self._tasks[work.key]
            self._works.woken.set()

        task.add_done_callback(ended)

    async def _serve(self, work: Work) -> None:
        job = Job(work, self._works, self._indexes)
        try:
            outcome = await self._ingest(job)
        except Conflict:  # detached, deleted or taken over
            outcome = "dropped"
        except asyncio.CancelledError:
            with suppress(GatewayError, Conflict):
                await self._works.hand_over(job.work)
            raise
        except Exception as error:
            outcome = "failed"
            if isinstance(error, GatewayError):  # of the database: others take it when this process is gone
                log.warning("a file could not be indexed", file=work.file_id, problem=error.message)
            else:
                log.exception("a file could not be indexed", file=work.file_id)
            with suppress(GatewayError, Conflict):
                await self._works.give_back(job.work, pause_of(job.work), SERVER_ERROR, "an internal error")
        INGESTIONS.labels(outcome).inc()

    async def _ingest(self, job: "Job") -> str:
        """Bring a file into an index; return how it ended."""
        work = job.work
        to_do = await self._works.to_do(work)
        if to_do is None:
            await self._works.drop(work)
            return "dropped"
        try:
            await self._fill(job, to_do)
        except NotFound:  # the file was deleted; the upkeep takes it out of its stores
            await self._works.drop(job.work)
            outcome = "dropped"
        except FileRefused as error:
            outcome = await self._refuse(job.work, to_do, error)
        except TextRefused as error:
            outcome = await self._refuse(job.work, to_do, FileRefused("invalid_file", error.message))
        except (Clash, RetryLater, EngineError) as error:
            outcome = await self._retry(job.work, to_do, error.message)
        else:
            await self._works.complete(job.work)
            await job.tend()
            outcome = "completed"
        return outcome

    async def _fill(self, job: "Job", to_do: ToDo) -> None:
        work = job.work
        if work.claims > MOST_CLAIMS:
            raise FileRefused(SERVER_ERROR, f"{work.claims - 1} processes ended while they read it")
        identity = remembered(to_do.embedding, to_do.dimension)
        embedder = None if identity is None else await self._embedders.of(identity)
        async with self._files.local(work.tenant, work.file_id) as path:
            chunks = self._parser.chunks(path, to_do.filename, chunker_of(to_do.chunking, to_do.of_store))
            await job.fill(chunks, embedder, to_do.dimension)

    async def _refuse(self, work: Work, to_do: ToDo, error: FileRefused) -> str:
        if to_do.current == work.index_id:
            await self._works.fail(work, error.code, str(error))
        else:  # the index that is searched has it, and is not given up for one without
            await self._works.give_back(work, REFUSED_PAUSE_MS, error.code, f"while it was indexed anew: {error}")
        return "failed"

    async def _retry(self, work: Work, to_do: ToDo, problem: str) -> str:
        if now() - work.queued > PATIENCE_MS and to_do.current == work.index_id:
            await self._works.fail(work, SERVER_ERROR, problem)
            return "failed"
        tries = work.failures + 1
        await self._works.give_back(
            work, pause_of(work), SERVER_ERROR, f"{problem} (it is tried again, {tries} times so far)"
        )
        return "retried"


class Job:
    """One file on its way; `work` says how far it is."""

    def __init__(self, work: Work, works: Works, indexes: Indexes) -> None:
        self.work = work
        self._works = works
        self._indexes = indexes
        self._record = Record(work.file_id)
        self._record.tenant = work.tenant
        self._length = UNMADE

    async def fill(self, chunks: AsyncIterator[list[Chunk]], embedder: Embedder | None, length: int) -> None:
        """Add the pieces that are not there yet; while some are written, those that follow are embedded.

        `length` is that of the index's vectors. Raises `FileRefused`, `TextRefused`, `GatewayError`, `Conflict`.
        """
        start, position = self.work.position, 0
        writing: asyncio.Task[None] | None = None
        try:
            async for some in in_batches(chunks, PIECES):
                first, position = position, position + len(some)
                if not (new := some[max(0, start - first) :]):
                    continue
                vectors = None
                if embedder is not None:
                    vectors = await embedder.documents([chunk.text for chunk in new], self._record)
                if length == UNMADE:
                    length = dimension(vectors[0]) if vectors is not None else 0
                    await self._indexes.index(self.work.index_id, length).create()
                if writing is not None:
                    await writing
                pieces = embedded(self.work.file_id, position - len(new), new, vectors)
                writing = asyncio.create_task(self._add(pieces, length))
            if writing is not None:
                await writing
        finally:
            if writing is not None:
                writing.cancel()
        if position == 0:
            raise FileRefused("invalid_file", "it holds no text")
        self._length = length

    async def tend(self) -> None:
        """Do what makes searches in the index fast, where it has grown."""
        if self._length != UNMADE:
            await self._indexes.index(self.work.index_id, self._length).tend()

    async def _add(self, pieces: Sequence[Embedded], length: int) -> None:
        self.work = await self._works.add(self.work, pieces, length)
        INGESTED_CHUNKS.inc(len(pieces))


def limits_of(settings: Settings) -> ParseLimits:
    """Return what reading a file may take."""
    return ParseLimits(
        memory_bytes=settings.max_memory_bytes,
        seconds=settings.max_seconds,
        pages=settings.max_pages,
        unpacked_bytes=settings.max_unpacked_bytes,
    )


async def in_batches(chunks: AsyncIterator[list[Chunk]], size: int) -> AsyncIterator[list[Chunk]]:
    """Yield what comes in lists of any length in lists of `size`, but for the last one."""
    waiting: list[Chunk] = []
    async for some in chunks:
        waiting += some
        while len(waiting) >= size:
            yield waiting[:size]
            waiting = waiting[size:]
    if waiting:
        yield waiting


def embedded(file_id: str, first: int, chunks: Sequence[Chunk], vectors: Sequence[Vector] | None) -> list[Embedded]:
    """Return pieces of a file as an index takes them; `first` is the number of the first one."""
    return [
        Embedded._make((file_id, first + n, *chunk, numbers(vectors[n]) if vectors is not None else None))
        for n, chunk in enumerate(chunks)
    ]


def pause_of(work: Work) -> int:
    """Return for how many milliseconds work waits that could not be done."""
    return min(FIRST_PAUSE_MS << min(work.failures, 20), LONGEST_PAUSE_MS)
