"""Pure: what was observed in, what to report out."""

from tandem_operator.status.changes import changes, written
from tandem_operator.status.compute import compute, failed, invalid, refused, waits_for_secrets
from tandem_operator.status.masking import quoted
from tandem_operator.status.observed import FIELDS_CONTESTED, Observed, Problem

__all__ = [
    "FIELDS_CONTESTED",
    "Observed",
    "Problem",
    "changes",
    "compute",
    "failed",
    "invalid",
    "quoted",
    "refused",
    "waits_for_secrets",
    "written",
]
