"""Reads the input of a batch, and keeps its lines, or tells what is wrong with them."""

from collections.abc import Callable
from contextlib import aclosing
from hashlib import blake2b
from typing import Final

import structlog
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.batches import lines
from tandem_orchestrator.batches.batch import Batch, Problem
from tandem_orchestrator.batches.lines import Line, LineProblem
from tandem_orchestrator.batches.work import Work
from tandem_orchestrator.errors import FileDamaged, GatewayError, NotFound
from tandem_orchestrator.files.store import FileStore

MOST_LINES: Final = 50_000  # as at OpenAI
MOST_PROBLEMS: Final = 100
SPAN_LINES: Final = 64
SPAN_BYTES: Final = 262_144
SPANS_AT_ONCE: Final = 8  # or as many as have so many bytes together
BYTES_AT_ONCE: Final = 1_048_576

log = structlog.get_logger()


class Validation:
    """One reading of an input. `name_of` returns the name under which engines know a model, None being the default.

    It raises `GatewayError` for one that whoever made the batch may not use.
    """

    def __init__(
        self, batch: Batch, work: Work, config: OrchestratorConfig, name_of: Callable[[str | None], str]
    ) -> None:
        self._batch = batch
        self._work = work
        self._limits = config.limits
        self._name_of = name_of
        self._ids: set[bytes] = set()
        """Digests of the `custom_id`s so far."""
        self._model: str | None = None
        self._problems: list[Problem] = []
        self._total = 0
        self._span: list[bytes] = []
        self._span_bytes = 0
        self._spans: list[tuple[int, bytes]] = []
        self._number = 0

    async def run(self, files: FileStore) -> None:
        """Begin the batch, or refuse it. Raises `GatewayError`, `Lost`."""
        await self._work.drop_spans(self._batch)
        try:
            await self._read(files)
        except (NotFound, FileDamaged) as error:
            self._problems = [Problem(str(error.code), error.message, "input_file_id")]
        if not self._total and not self._problems:
            self._problems = [Problem("empty_file", "the input has no lines", "input_file_id")]
        if self._problems:
            await self._work.refuse(self._batch, self._problems, self._total)
            log.info("a batch was refused", id=self._batch.id, problems=len(self._problems))
            return
        await self._end_span()
        await self._keep()
        await self._work.begin(self._batch, self._model or "", self._total)

    async def _read(self, files: FileStore) -> None:
        batch = self._batch
        async with (
            aclosing(files.read(batch.tenant, batch.input_file)) as chunks,
            aclosing(lines.split(chunks, self._limits.max_body_bytes)) as found,
        ):
            async for number, raw in found:
                try:
                    await self._take(raw)
                except LineProblem as problem:
                    self._problems.append(Problem(problem.code, problem.message, problem.param, number))
                    if len(self._problems) == MOST_PROBLEMS:
                        return
                if self._total > MOST_LINES:
                    problem_of_all = f"the input has more than {MOST_LINES} lines; send several batches"
                    self._problems.append(Problem("too_many_lines", problem_of_all, "input_file_id", number))
                    return

    async def _take(self, raw: bytes | None) -> None:
        self._total += 1
        if raw is None:
            most = self._limits.max_body_bytes
            raise LineProblem("line_too_large", f"the line is larger than {most} bytes (limits.maxBodyBytes)")
        line = await lines.checked(raw, self._batch.endpoint, self._limits.max_depth)
        digest = blake2b(line.custom_id.encode(), digest_size=16).digest()
        if digest in self._ids:
            raise LineProblem("duplicate_custom_id", "another line has this `custom_id`", "custom_id")
        self._ids.add(digest)
        self._check_model(line)
        if not self._problems:  # else it is only read on for what else is wrong
            await self._add(lines.written(line))

    def _check_model(self, line: Line) -> None:
        try:
            model = self._name_of(line.body.get("model"))
        except GatewayError as error:
            raise LineProblem(str(error.code or error.type), error.message, "body.model") from None
        if self._model is None:
            self._model = model
        elif self._model != model:
            problem = f"the batch's first line is for the model {self._model!r}; send a batch for each model"
            raise LineProblem("mismatched_model", problem, "body.model")

    async def _add(self, written: bytes) -> None:
        if self._span and (len(self._span) == SPAN_LINES or self._span_bytes + len(written) > SPAN_BYTES):
            await self._end_span()
        self._span.append(written)
        self._span_bytes += len(written)

    async def _end_span(self) -> None:
        self._spans.append((self._number, b"\n".join(self._span)))
        self._number += 1
        self._span, self._span_bytes = [], 0
        if len(self._spans) == SPANS_AT_ONCE or sum(len(text) for _, text in self._spans) > BYTES_AT_ONCE:
            await self._keep()

    async def _keep(self) -> None:
        if self._spans:
            await self._work.add_spans(self._batch, self._spans)
            self._spans = []
