"""Makes outputs of tasks: passages for the prompt, the model's answer, and its correction where that does not fit."""

import asyncio
from time import perf_counter
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from tandem_contract.config import TaskRetrieval

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.errors import ClientLeft, GatewayError, Unfit
from tandem_orchestrator.gateway.generate import Generator
from tandem_orchestrator.gateway.request import Headers
from tandem_orchestrator.observability.metrics import TASK_REQUESTS, TASK_SECONDS
from tandem_orchestrator.observability.prometheus import Labelled
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.retrieval.question import Question, queries_of
from tandem_orchestrator.retrieval.searching import Searching
from tandem_orchestrator.tasks.asking import Asking, said_in
from tandem_orchestrator.tasks.output import Misfit
from tandem_orchestrator.tasks.partial_stream import RETRY, PartialStream
from tandem_orchestrator.tasks.version import INVALID_INPUT, Version
from tandem_orchestrator.tools.passage import Passage

SUCCESS: Final = "success"
ERROR: Final = "error"
CANCELLED: Final = "cancelled"

_requests = Labelled(TASK_REQUESTS)
_seconds = Labelled(TASK_SECONDS)


class Asker(NamedTuple):
    """Who asks, and what the request is counted by."""

    principal: Principal
    record: Record
    headers: Headers


class Given(NamedTuple):
    """An input, and where it stands in its request: "" for all of it."""

    input: Any
    param: str


class Made(NamedTuple):
    """An output, and what the gateway tells of how it came about."""

    output: Any
    tandem: Any


class Maker:
    """Makes them under one configuration."""

    def __init__(self, generator: Generator, searching: Searching) -> None:
        self._generator = generator
        self._searching = searching

    async def whole(self, version: Version, given: Given, asker: Asker) -> Made:
        """Make an output. Raises `GatewayError`."""
        with _Counted(version):
            asking = await self._asking(version, given, asker)
            while True:
                request = asking.request(stream=False)
                _, answer = await self._generator.whole(request, asker.principal, asker.record, asker.headers)
                said = said_in(answer)
                try:
                    return Made(asking.output(said), asking.told(said))
                except Misfit:
                    continue

    async def stream(self, version: Version, given: Given, asker: Asker, stream: PartialStream) -> Made:
        """Make an output, parts of which go into `stream`. Raises `GatewayError`, also after the stream's start."""
        principal, record, headers = asker
        with _Counted(version):
            asking = await self._asking(version, given, asker)
            while True:
                await self._generator.stream(asking.request(stream=True), principal, record, headers, stream)
                record.told = False  # of how the engine's answer ends, and not yet of ours
                said = stream.said()
                try:
                    return Made(asking.output(said), asking.told(said))
                except Misfit as misfit:
                    await stream.tell(RETRY, {"message": str(misfit)})

    async def _asking(self, version: Version, given: Given, asker: Asker) -> Asking:
        version.check(given.input, given.param)
        task, (principal, record, _) = version.settings, asker
        query = version.query(given.input, given.param)
        if task.retrieval is None or query is None:
            return Asking(version, version.messages(given.input, None, given.param), ())
        found = await self._found(task.retrieval, query, record)
        guard = self._generator.guard(self._generator.find(task.model, principal), principal, record)
        if guard is not None:
            found = await guard.passages(found)
        documents = [
            {"text": each.text, "filename": each.name, "file_id": each.file_id, "score": each.score} for each in found
        ]
        messages = version.messages(given.input, documents, given.param)
        return Asking(version, messages, () if guard is None else guard.decisions.shown)

    async def _found(self, retrieval: TaskRetrieval, query: str, record: Record) -> list[Passage]:
        question = Question(queries_of(query, "the task's query"), most=retrieval.max_results)
        hits = await self._searching.search(record, retrieval.vector_store_ids, question)
        return [Passage(hit.text, hit.filename, file_id=hit.file_id, score=hit.score) for hit in hits]


class _Counted:
    """`with` counts what came of an input, and how long it took."""

    __slots__ = ("_labels", "_started")

    def __init__(self, version: Version) -> None:
        self._labels = version.labels
        self._started = perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        _requests[*self._labels, _outcome(error)].inc()
        _seconds[self._labels].observe(perf_counter() - self._started)


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return SUCCESS
    if isinstance(error, asyncio.CancelledError | ClientLeft):
        return CANCELLED
    if isinstance(error, Unfit):
        return "invalid_output"
    return INVALID_INPUT if isinstance(error, GatewayError) and error.code == INVALID_INPUT else ERROR
