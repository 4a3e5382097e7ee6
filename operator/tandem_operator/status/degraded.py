"""Whether parts of a service cannot be used while it serves: read from what its orchestrators say about themselves."""

from collections.abc import Iterable
from typing import Final

from tandem_contract import names

from tandem_operator.api.configuration import ENGINE
from tandem_operator.status.finding import Finding
from tandem_operator.status.masking import masked

_LONGEST_MESSAGE: Final = 4096
_OWN_ENGINE: Final = names.ENGINE_PROBLEM.format(name=ENGINE, problem="")


def unusable_parts(said: Iterable[str]) -> Finding | None:
    """Return what cannot be used; the service's own engine has a condition of its own."""
    lines = sorted({masked(" ".join(line.split())) for line in said if not line.startswith(_OWN_ENGINE)})
    if not lines:
        return None
    message = "; ".join(lines)
    if len(message) > _LONGEST_MESSAGE:
        message = f"{message[:_LONGEST_MESSAGE]} … (/health of the service tells all of them)"
    return Finding("PartsUnusable", message)
