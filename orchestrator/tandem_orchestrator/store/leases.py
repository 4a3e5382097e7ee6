"""What one process at a time may have, and which processes are there."""

from secrets import token_hex
from typing import Final

from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.rows import Rows, now

MIGRATION: Final = "0002"
"""Made the table."""
PROCESS: Final = "process:"
"""Begins the names of processes among the leases."""
LEASE_MS: Final = 20_000  # without a sign of life for so long, a process counts as gone


class Leases:
    """The leases of this process, of which its life is one. Every call raises `DatabaseDown`, `StorageFull`."""

    def __init__(self, database: Database) -> None:
        self._rows = Rows(database, MIGRATION, "tandem_orchestrator.store.lease_statements")
        self.owner = token_hex(8)
        """This process."""
        self._lived = 0
        self._since = 0

    async def hold(self, name: str, milliseconds: int) -> bool:
        """Take what one process at a time may have, or keep it; false while another one has it."""
        moment = now()
        row = {"name": name, "owner": self.owner, "until": moment + milliseconds, "now": moment}
        (held,) = await self._rows.write(("ANY_HOLD", [row]))
        return bool(held)

    async def let_go(self, name: str) -> None:
        """Give back what `hold` took."""
        await self._rows.write(("ANY_LET_GO", [{"name": name, "owner": self.owner}]))

    async def live(self) -> None:
        """Give a sign of life."""
        await self.hold(PROCESS + self.owner, LEASE_MS)
        before, self._lived = self._lived, now()
        if self._lived - before > LEASE_MS:
            self._since = self._lived
        await self._rows.write(("ANY_LAPSED", [{"before": now() - 10 * LEASE_MS}]))

    async def live_on(self) -> None:
        """Give a sign of life before something is taken, or nobody may know yet that this process is there."""
        if now() - self._lived > LEASE_MS // 2:
            await self.live()

    @property
    def settled(self) -> bool:
        """Whether it has lived for so long that others who live have given signs of it too, be it after an outage."""
        return now() - self._since >= LEASE_MS // 2

    async def leave(self) -> None:
        """Say that this process makes nothing any more."""
        if self._lived:
            await self.let_go(PROCESS + self.owner)
