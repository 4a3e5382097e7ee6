"""Whose turn a request takes while requests queue, and how often that one gets a turn."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tandem_contract.config import ServiceClass, Tenant

from tandem_orchestrator.observability.record import Record


@dataclass(frozen=True, slots=True)
class Share:
    """A tenant's part of what queues."""

    tenant: str
    weight: int = 1
    batch: bool = False
    """True for what comes after those who wait for their answers."""

    @property
    def service_class(self) -> str:
        """Its class as metrics name it."""
        return ServiceClass.BATCH if self.batch else ServiceClass.INTERACTIVE


EVERYBODY: Final = Share("")
"""All requests together, where tenants do not take turns."""


class Shares:
    """Finds a request's share; with `apart` false all are one."""

    def __init__(self, tenants: Iterable[Tenant], *, apart: bool) -> None:
        self._apart = apart
        self._known = {
            tenant.name: Share(tenant.name, tenant.weight, tenant.service_class is ServiceClass.BATCH)
            for tenant in tenants
        }

    def of(self, record: Record) -> Share:
        """Return the share of whoever asks; all that came without a key are one tenant."""
        if not self._apart:
            return EVERYBODY
        tenant = record.tenant or ""
        return self._known.get(tenant) or Share(tenant)
