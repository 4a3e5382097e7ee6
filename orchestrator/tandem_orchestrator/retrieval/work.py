"""The files that are to be brought into indexes: taken by one process at a time, and given back or ended."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from tandem_orchestrator.retrieval.index import Embedded, Indexes
from tandem_orchestrator.store.leases import Leases
from tandem_orchestrator.store.rows import NamedRows, Rows, now

COMPLETED = "completed"
FAILED = "failed"


class Work(NamedTuple):
    """A file that this process has taken."""

    index_id: str
    file_id: str
    tenant: str
    store_id: str
    queued: int
    claims: int
    failures: int
    position: int
    bytes: int

    @property
    def key(self) -> tuple[str, str]:
        """What no other work has."""
        return self.index_id, self.file_id


class ToDo(NamedTuple):
    """What work is about, as the database has it at the moment."""

    filename: str
    chunking: str
    embedding: str
    of_store: str
    """How the index cuts files that do not say it themselves."""
    dimension: int
    current: str
    """The index that is searched, which may be another one."""


class Works:
    """The queue of all processes. Every call raises `DatabaseDown`, and those that add `StorageFull` too."""

    def __init__(self, rows: Rows, leases: Leases, indexes: Indexes) -> None:
        self._rows = rows
        self._leases = leases
        self._indexes = indexes
        self._owner = leases.owner
        self.woken = asyncio.Event()
        """Set when there may be something to take."""

    async def any(self) -> bool:
        """Return whether something waits to be taken."""
        return bool(await self._rows.read("ANY_WAITS", now=now()))

    async def queued(self) -> tuple[int, int]:
        """Return how many files wait, and since when the first one of them, in milliseconds since 1970."""
        ((number, since),) = await self._rows.read("ANY_QUEUED")
        return number, since or now()

    async def live(self) -> None:
        """Give a sign of life, or others take what this process has taken."""
        await self._leases.live()

    async def mine(self) -> set[tuple[str, str]]:
        """Return the keys of all that this process has taken, as the database sees it."""
        return {(row[0], row[1]) for row in await self._rows.read("MINE", owner=self._owner)}

    async def claim(self, most: int) -> list[Work]:
        """Take up to `most` files."""
        await self._leases.live_on()
        return await self._take("ANY_CLAIM", most)

    async def claim_left(self, most: int) -> list[Work]:
        """Take what processes that are gone have left."""
        if not await self._rows.read("ANY_IS_LEFT", now=now()):
            return []
        await self._leases.live_on()
        return await self._take("ANY_LEFT", most) if self._leases.settled else []

    async def to_do(self, work: Work) -> ToDo | None:
        """Return what work is about; None where it has become needless."""
        rows = await self._rows.read(
            "TO_DO", index_id=work.index_id, tenant=work.tenant, store_id=work.store_id, file_id=work.file_id
        )
        return ToDo(*rows[0]) if rows else None

    async def add(self, work: Work, pieces: Sequence[Embedded], dimension: int) -> Work:
        """Add pieces that follow on those before. Raises `Conflict` where the work is this process's no longer."""
        size = sum(piece.size for piece in pieces)
        position = work.position + len(pieces)
        progress = self._mine(work) | {"new_position": position, "more_bytes": size}
        counted = {"id": work.index_id, "more_chunks": len(pieces), "new_dimension": dimension}
        adding = await asyncio.to_thread(
            self._indexes.index(work.index_id, dimension).adding, pieces
        )  # words of long texts
        await self._rows.write(
            ("PROGRESS", [progress]),
            *adding,
            ("COUNT_CHUNKS", [counted]),
        )
        return work._replace(position=position, bytes=work.bytes + size)

    async def complete(self, work: Work) -> None:
        """End work whose pieces are all there."""
        of_store = {"tenant": work.tenant, "store_id": work.store_id, "index_id": work.index_id}
        await self._rows.write(
            ("END", [self._mine(work)]),
            self._note(work, COMPLETED, None, None),
            ("SWITCH", [of_store | {"id": work.store_id}]),
            ("SETTLE", [of_store]),
            ("DROP_OTHERS", [of_store]),
        )

    async def fail(self, work: Work, code: str, reason: str) -> None:
        """End work that cannot be done; what was added stays out of sight, as its file has failed."""
        await self._rows.write(("END", [self._mine(work)]), self._note(work, FAILED, code, reason))

    async def drop(self, work: Work) -> None:
        """End work that has become needless."""
        await self._rows.write(("END", [self._mine(work)]))

    async def give_back(self, work: Work, pause_ms: int, code: str, reason: str) -> None:
        """Have work tried again after a while; clients see why."""
        release = self._mine(work) | {"new_due": now() + pause_ms, "new_failures": work.failures + 1}
        note = self._note(work, "in_progress", code, reason)
        await self._rows.write(note, ("RELEASE", [release]))

    async def abandon(self, key: tuple[str, str]) -> None:
        """Give back what nobody here works at any more."""
        index_id, file_id = key
        await self._rows.write(("ABANDON", [{"index_id": index_id, "file_id": file_id, "owner": self._owner}]))

    async def hand_over(self, work: Work) -> None:
        """Give work back that others are to go on with."""
        await self._rows.write(("RELEASE", [self._mine(work) | {"new_due": now(), "new_failures": work.failures}]))

    def _note(self, work: Work, status: str, code: str | None, reason: str | None) -> NamedRows:
        row = {"tenant": work.tenant, "store_id": work.store_id, "of_file": work.file_id, "index_id": work.index_id}
        return "NOTE", [
            row | {"new_status": status, "new_error_code": code, "new_error": reason, "new_bytes": work.bytes}
        ]

    def _mine(self, work: Work) -> dict[str, str]:
        return {"index_id": work.index_id, "file_id": work.file_id, "owner": self._owner}

    async def _take(self, name: str, most: int) -> list[Work]:
        (rows,) = await self._rows.write((name, [{"new_owner": self._owner, "most": most, "now": now()}]))
        return [Work(*row[1:]) for row in rows]
