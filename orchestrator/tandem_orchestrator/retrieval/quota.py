"""How many vector stores, and pieces in them, a tenant may keep."""

from tandem_contract.config import StoreQuota

from tandem_orchestrator.errors import Forbidden
from tandem_orchestrator.store.rows import Rows


async def check_quota(rows: Rows, tenant: str, quota: StoreQuota, *, stores: int = 0) -> None:
    """Raise `Forbidden` if the tenant keeps as much as it may, or would with so many more `stores`."""
    if quota.stores is None and quota.chunks is None:
        return
    ((kept, chunks),) = await rows.read("STORED_OF", tenant=tenant)
    if quota.stores is not None and kept + stores > quota.stores:
        raise _exceeded(f"{kept} vector stores", quota.stores)
    if quota.chunks is not None and chunks >= quota.chunks:
        raise _exceeded(f"{chunks} pieces of documents in vector stores", quota.chunks)


def _exceeded(kept: str, most: int) -> Forbidden:
    return Forbidden(f"this tenant keeps {kept} and may keep {most}; delete some", code="storage_quota_exceeded")
