"""What the process that works at batches reads and writes of them, under its lease."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

from tandem_orchestrator.batches.batch import Batch, Problem, Usage
from tandem_orchestrator.batches.leading import LEASE, LEASE_MS
from tandem_orchestrator.batches.outcome import Outcome
from tandem_orchestrator.store.leases import Leases
from tandem_orchestrator.store.rows import NamedRows, Rows, now

MOST_AT_ONCE: Final = 100  # rows of which each may be large
TEXTS_AT_ONCE: Final = 16


class Lost(Exception):
    """The batch has been ended by somebody else, or another process works at batches now."""


class Span(NamedTuple):
    """Lines in a row, as they are kept."""

    number: int
    lines: str
    done: frozenset[int]
    """Which of them have an outcome."""


class Ended(NamedTuple):
    """What came of some lines of a span; those by the number of their place in it."""

    batch: Batch
    span: int
    outcomes: dict[int, Outcome]
    last: bool
    """Whether all of the span's lines have an outcome then."""


class Work:
    """Every call raises `DatabaseDown`, those that write `StorageFull` too, and `Lost` where it says so."""

    def __init__(self, rows: Rows, leases: Leases) -> None:
        self._rows = rows
        self._leases = leases
        self._owner = leases.owner

    async def lead(self) -> bool:
        """Become or stay the process that works at batches; false while another one is."""
        return await self._leases.hold(LEASE, LEASE_MS)

    async def leave(self) -> None:
        """Let another process work at batches."""
        await self._leases.let_go(LEASE)

    async def any(self) -> bool:
        """Return whether there is anything to do."""
        return bool(await self._rows.read("ANY_WAITING"))

    async def unfinished(self) -> dict[tuple[str, str], str]:
        """Return the status of each unfinished batch, by tenant and id, the oldest first."""
        await self._rows.write(
            ("ANY_EXPIRE", [{"owner": self._owner, "moment": now(), "now": now()}]),
            ("ANY_DONE", [{"owner": self._owner, "moment": now()}]),
        )
        return {(row[0], row[1]): row[2] for row in await self._rows.read("ANY_UNFINISHED")}

    async def batch(self, key: tuple[str, str]) -> Batch:
        """Return a batch. Raises `Lost` if there is none, or it has ended."""
        rows = await self._rows.read("GET_BATCH", tenant=key[0], id=key[1])
        batch = Batch(*rows[0][: len(Batch._fields)]) if rows else None
        if batch is None or batch.ended is not None:
            raise Lost
        return batch

    async def lines(self) -> tuple[int, int]:
        """Return how many lines wait for their outcome, and since when the oldest batch of them."""
        ((total, since, done),) = await self._rows.read("ANY_LINES")
        return max(0, int(total) - int(done)), since or now()

    # Before a batch begins

    async def drop_spans(self, batch: Batch) -> None:
        """Forget what was read of an input before."""
        await self._clear("DROP_SPANS", batch, owner=self._owner)

    async def add_spans(self, batch: Batch, spans: Sequence[tuple[int, bytes]]) -> None:
        """Keep lines of an input. Raises `Lost`."""
        rows = [self._of(batch) | {"number": number, "lines": lines.decode()} for number, lines in spans]
        (added,) = await self._rows.write(("ADD_SPAN", rows))
        if len(added) != len(rows):
            raise Lost

    async def begin(self, batch: Batch, model: str, total: int) -> None:
        """Have the lines made. Raises `Lost`."""
        await self._change("BEGIN_BATCH", batch, new_model=model, new_total=total)

    async def refuse(self, batch: Batch, problems: Sequence[Problem], total: int) -> None:
        """End a batch whose input cannot be used. Raises `Lost`."""
        await self._change(
            "REFUSE_BATCH",
            batch,
            new_errors=orjson.dumps([[*problem] for problem in problems]).decode(),
            new_total=total,
        )

    # While it is in progress

    async def span_after(self, batch: Batch, number: int) -> Span | None:
        """Return the next lines that want an outcome; None after the last ones."""
        where = self._of(batch)
        rows = await self._rows.read("SOME_SPANS", **where, after=number, most=1)
        if not rows:
            return None
        ((found, lines),) = rows
        done = await self._rows.read("DONE_OF", **where, span=found)
        return Span(found, lines, frozenset(n for (text,) in done for n in orjson.loads(text)))

    def ending(self, ended: Sequence[Ended]) -> list[NamedRows]:
        """Return what `end` writes; to be written again as it is where nobody knows whether it was."""
        finished = [self._of(each.batch) | {"number": each.span} for each in ended if each.last]
        return [("ADD_OUTCOME", [self._row(each) for each in ended]), ("END_SPAN", finished)]

    async def end(self, steps: Sequence[NamedRows]) -> set[tuple[str, str]]:
        """Keep outcomes; return the batches of which some were not kept, as they have ended meanwhile."""
        found = await self._rows.write(*(step for step in steps if step[1]))
        kept = {tuple(row[:3]) for row in found[0]}
        wanted = {(row["tenant"], row["batch_id"], row["span"]) for row in steps[0][1]}
        return {(tenant, batch_id) for tenant, batch_id, _ in wanted - kept}

    # Afterwards

    async def sums(self, batch: Batch) -> tuple[int, int, Usage]:
        """Return how many lines of a batch went well and failed, and what they used."""
        ((completed, failed, *tokens),) = await self._rows.read("SUMS_OF", **self._of(batch))
        return int(completed), int(failed), Usage(*map(int, tokens))

    async def texts(self, name: str, batch: Batch, after: tuple[int, int]) -> list[tuple[int, int, str]]:
        """Return some lines of the output ("SOME_OUTPUT") or the error file, with their places."""
        found = await self._rows.read(name, **self._of(batch), span=after[0], first=after[1], most=TEXTS_AT_ONCE)
        return [(span, first, text) for span, first, text in found]

    async def finish(self, batch: Batch, files: tuple[str | None, str | None], sums: tuple[int, int, Usage]) -> str:
        """End a batch with the ids of its files; return its status. Raises `Lost`."""
        completed, failed, usage = sums
        return await self._change(
            "NOTE_FILES",
            batch,
            new_output_file=files[0],
            new_error_file=files[1],
            new_completed=completed,
            new_failed=failed,
            new_usage=orjson.dumps([*usage]).decode(),
        )

    async def note(self, batch: Batch, problem: Problem) -> None:
        """Let clients see what keeps a batch. Raises `Lost`."""
        await self._change("NOTE_PROBLEM", batch, new_errors=orjson.dumps([[*problem]]).decode())

    async def clear(self) -> int:
        """Delete the lines and outcomes of batches that have ended; return of how many."""
        rows = await self._rows.read("ANY_UNCLEARED", most=MOST_AT_ONCE)
        for tenant, batch_id in rows:
            for name in ("CLEAR_SPANS", "CLEAR_OUTCOMES"):
                await self._clear_all(name, {"tenant": tenant, "batch_id": batch_id})
        return len(rows)

    async def forget(self, before: int) -> int:
        """Delete batches that ended before a time; return how many."""
        total = 0
        while number := len(
            (await self._rows.write(("ANY_OLD_BATCHES", [{"before": before, "most": MOST_AT_ONCE}])))[0]
        ):
            total += number
        return total

    async def _clear(self, name: str, batch: Batch, **more: Any) -> None:
        await self._clear_all(name, {"tenant": batch.tenant, "batch_id": batch.id, **more})

    async def _clear_all(self, name: str, where: dict[str, Any]) -> None:
        while (await self._rows.write((name, [where | {"most": MOST_AT_ONCE}])))[0]:
            pass

    async def _change(self, name: str, batch: Batch, **columns: Any) -> str:
        where = {"tenant": batch.tenant, "id": batch.id, "owner": self._owner, "moment": now()}
        (changed,) = await self._rows.write((name, [where | columns]))
        if not changed:
            raise Lost
        return str(changed[0][-1])

    def _of(self, batch: Batch) -> dict[str, Any]:
        return {"tenant": batch.tenant, "batch_id": batch.id, "owner": self._owner}

    def _row(self, ended: Ended) -> dict[str, Any]:
        outcomes = ended.outcomes
        usage = Usage(*map(sum, zip(*(each.usage for each in outcomes.values()), strict=True)))
        failed = sum(each.failed for each in outcomes.values())
        return {
            **self._of(ended.batch),
            "span": ended.span,
            "first": min(outcomes),
            "completed": len(outcomes) - failed,
            "failed": failed,
            **usage._asdict(),
            "done": orjson.dumps(sorted(outcomes)).decode(),
            "output": "".join(outcomes[n].text for n in sorted(outcomes) if not outcomes[n].failed),
            "errors": "".join(outcomes[n].text for n in sorted(outcomes) if outcomes[n].failed),
        }
