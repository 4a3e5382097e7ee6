"""Makes the files of a batch of what came of its lines."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Final

from tandem_orchestrator.batches import lines
from tandem_orchestrator.batches.batch import Batch
from tandem_orchestrator.batches.outcome import UNMADE, unmade
from tandem_orchestrator.batches.work import Lost, Work
from tandem_orchestrator.errors import GatewayError, NotFound
from tandem_orchestrator.files.store import FileStore
from tandem_orchestrator.store.page import Page
from tandem_orchestrator.store.rows import now

PURPOSE: Final = "batch_output"
PAGE: Final = 100
FIRST: Final = (-1, -1)


class Assembly:
    """The end of one batch."""

    def __init__(self, batch: Batch, work: Work, files: FileStore) -> None:
        self._batch = batch
        self._work = work
        self._files = files

    async def run(self) -> str:
        """Keep the files and end the batch; return its status. Raises `GatewayError`, `Lost`."""
        batch = self._batch
        output = await self._add("output", self._texts("SOME_OUTPUT"))
        errors = await self._add("error", self._errors())
        try:
            status = await self._work.finish(batch, (output, errors), await self._work.sums(batch))
        except Lost:
            for file in (output, errors):
                if file is not None:
                    await self._files.delete(batch.tenant, file)
            raise
        with suppress(GatewayError):  # which has been logged, and the batch has ended well
            await self._drop_others(output, errors)
        return status

    async def _drop_others(self, *kept: str | None) -> None:
        """Delete what a process has kept that was lost before it could end the batch.

        Only who has ended the batch does so: anyone else might delete the files that it names.
        """
        batch, page = self._batch, Page("", PAGE, "desc")
        since = batch.cancelling or batch.finalizing or 0
        more = True
        while more:
            found, more = await self._files.page(batch.tenant, PURPOSE, page)
            for file in found:
                if file.created < since:
                    return
                if file.id not in kept and file.filename in (self._name("output"), self._name("error")):
                    with suppress(NotFound):
                        await self._files.delete(batch.tenant, file.id)
            page = page._replace(after=found[-1].id if found else "")

    async def _add(self, kind: str, chunks: AsyncGenerator[bytes]) -> str | None:
        """Keep a file, and return its id; None where there would be nothing in it."""
        seconds = self._batch.output_seconds
        expires = None if seconds is None else now() + seconds * 1000
        async with aclosing(chunks):
            first = await anext(chunks, None)
            if first is None:
                return None
            whole = _with_first(first, chunks)
            return (await self._files.add(self._batch.tenant, self._name(kind), PURPOSE, whole, expires)).id

    def _name(self, kind: str) -> str:
        return f"{self._batch.id}_{kind}.jsonl"

    async def _texts(self, name: str) -> AsyncGenerator[bytes]:
        after = FIRST
        while found := await self._work.texts(name, self._batch, after):
            for span, first, text in found:
                after = span, first
                yield text.encode()

    async def _errors(self) -> AsyncGenerator[bytes]:
        async for text in self._texts("SOME_ERRORS"):
            yield text
        if self._batch.ending not in UNMADE or self._batch.began is None:
            return
        number = -1
        while (span := await self._work.span_after(self._batch, number)) is not None:
            number = span.number
            left = [line for n, line in enumerate(lines.kept(span.lines)) if n not in span.done]
            if left:
                yield b"".join(unmade(line.custom_id, self._batch.ending) for line in left)


async def _with_first(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in others:
        yield chunk
