"""The lines of a model's batches in the order in which they are made: tenants in turn, a tenant's batches by age."""

from collections import OrderedDict, deque
from collections.abc import Collection
from time import monotonic

from tandem_orchestrator.batches.batch import Batch
from tandem_orchestrator.batches.ledger import OpenSpan
from tandem_orchestrator.batches.lines import Line, kept
from tandem_orchestrator.batches.work import Work


class Job:
    """A line that is to be made."""

    __slots__ = ("failures", "line", "place", "source", "span")

    def __init__(self, source: "Source", span: OpenSpan, place: int, line: Line) -> None:
        self.source = source
        self.span = span
        self.place = place
        self.line = line
        self.failures = 0
        """Attempts that ended so that another one may go well."""


class Source:
    """What is left of a batch."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.rests_until = 0.0
        """On the monotonic clock."""
        self._jobs: deque[Job] = deque()
        self._number = -1
        self._exhausted = False

    async def next(self, work: Work) -> Job | None:
        """Return a line; None if there is none now. Raises `DatabaseDown`."""
        while not self._jobs and not self._exhausted:
            span = await work.span_after(self.batch, self._number)
            if span is None:
                self._exhausted = True
                break
            lines = kept(span.lines)
            left = OpenSpan(self.batch, span.number, len(lines) - len(span.done))
            self._number = span.number
            self._jobs.extend(Job(self, left, n, line) for n, line in enumerate(lines) if n not in span.done)
        return self._jobs.popleft() if self._jobs else None

    def give_back(self, job: Job) -> None:
        """Have a line made later."""
        self._jobs.appendleft(job)


class Supply:
    """All of a model."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._tenants: OrderedDict[str, dict[str, Source]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._tenants)

    def keys(self) -> set[tuple[str, str]]:
        """Return tenant and id of each batch."""
        return {(tenant, batch_id) for tenant, sources in self._tenants.items() for batch_id in sources}

    def add(self, batch: Batch) -> None:
        """Add a batch, which is younger than its tenant's others."""
        self._tenants.setdefault(batch.tenant, {})[batch.id] = Source(batch)

    def drop(self, keys: Collection[tuple[str, str]]) -> None:
        """Forget batches."""
        for tenant, batch_id in keys:
            sources = self._tenants.get(tenant, {})
            sources.pop(batch_id, None)
            if not sources:
                self._tenants.pop(tenant, None)

    async def next(self) -> Job | None:
        """Return the next line; None if there is none now. Raises `DatabaseDown`."""
        for tenant in tuple(self._tenants):
            for source in tuple(self._tenants.get(tenant, {}).values()):
                if source.rests_until <= monotonic() and (job := await source.next(self._work)) is not None:
                    if tenant in self._tenants:
                        self._tenants.move_to_end(tenant)
                    return job
        return None
