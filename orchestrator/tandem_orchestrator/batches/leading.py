"""The lease of the process that works at batches."""

from typing import Final

LEASE: Final = "batches"
LEASE_MS: Final = 20_000
