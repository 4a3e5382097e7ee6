"""How much a tenant may keep."""

from typing import Final

from tandem_contract.config import Quota

from tandem_orchestrator.errors import Forbidden
from tandem_orchestrator.store.rows import Rows, now

FRESH_MS: Final = 2000  # how long a count serves; what comes within it may exceed the quota
MOST_TENANTS: Final = 10_000


class Quotas:
    """Looks at what the database counts of each tenant, and not oftener than needed."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._counts: dict[str, tuple[int, int, int]] = {}

    async def check(self, tenant: str, quota: Quota) -> None:
        """Raise `Forbidden` if the tenant keeps as much as it may."""
        if quota.responses is None and quota.bytes is None:
            return
        responses, size = await self._kept(tenant)
        for name, kept, most in (("responses", responses, quota.responses), ("bytes", size, quota.bytes)):
            if most is not None and kept >= most:
                raise Forbidden(
                    f"this tenant keeps {kept} {name} of responses and conversations and may keep {most}; delete some, "
                    'or send `"store": false`',
                    code="storage_quota_exceeded",
                )

    async def _kept(self, tenant: str) -> tuple[int, int]:
        moment = now()
        read, responses, size = self._counts.get(tenant, (0, 0, 0))
        if moment - read > FRESH_MS:
            rows = await self._rows.read("STORED_OF", tenant=tenant)
            responses, size = rows[0] if rows else (0, 0)
            if len(self._counts) >= MOST_TENANTS:
                self._counts.clear()
            self._counts[tenant] = (moment, responses, size)
        return responses, size
