"""Pure: what was observed in, what to report out."""

from tandem_operator.status.changes import changes
from tandem_operator.status.compute import compute, waits_for_mounts
from tandem_operator.status.masking import quoted
from tandem_operator.status.not_computed import failed, invalid, not_allowed, not_sized, refused
from tandem_operator.status.observed import FIELDS_CONTESTED, NAME_TAKEN, Observed, Problem
from tandem_operator.status.sized import awaited
from tandem_operator.status.stored import written
from tandem_operator.status.stores import waiting_claim

__all__ = [
    "FIELDS_CONTESTED",
    "NAME_TAKEN",
    "Observed",
    "Problem",
    "awaited",
    "changes",
    "compute",
    "failed",
    "invalid",
    "not_allowed",
    "not_sized",
    "quoted",
    "refused",
    "waiting_claim",
    "waits_for_mounts",
    "written",
]
