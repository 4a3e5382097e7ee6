"""How much a tenant may keep. The statements that add hold the same bounds, and exactly; this is for the words."""

from typing import Any, Final, NamedTuple

from tandem_contract.config import Files as Settings

from tandem_orchestrator.errors import Forbidden
from tandem_orchestrator.store.rows import Rows

UNLIMITED: Final = 2**62


class Quota(NamedTuple):
    """How much a tenant may keep in all."""

    files: int
    bytes: int

    @classmethod
    def of(cls, settings: Settings) -> "Quota":
        """Return the quota of each tenant."""
        quota = settings.quota
        return cls(quota.files or UNLIMITED, quota.bytes or UNLIMITED)

    def parameters(self) -> dict[str, Any]:
        """Return it as statements take it."""
        return {"most_files": self.files, "most_bytes": self.bytes}


async def room(rows: Rows, tenant: str, quota: Quota, *, files: int = 1) -> int:
    """Return how many bytes the tenant may add along with `files`. Raises `Forbidden` where there is no room."""
    if quota == (UNLIMITED, UNLIMITED):
        return UNLIMITED
    found = await rows.read("STORED_OF", tenant=tenant)
    kept_files, kept_bytes = found[0] if found else (0, 0)
    if kept_files + files > quota.files:
        raise Forbidden(
            f"this tenant keeps {kept_files} files and may keep {quota.files}; delete some",
            code="storage_quota_exceeded",
        )
    if kept_bytes >= quota.bytes:
        raise exceeded(quota)
    return quota.bytes - kept_bytes


def exceeded(quota: Quota) -> Forbidden:
    """Return the error for bytes that do not fit."""
    return Forbidden(
        f"with these bytes the tenant's files and unfinished uploads would be larger than {quota.bytes} bytes, which "
        "it may keep; delete some, or cancel uploads",
        code="storage_quota_exceeded",
    )
