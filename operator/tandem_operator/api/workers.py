"""How many processes an orchestrator's pod has."""

import math
from typing import Final

from tandem_operator.api.orchestrator import OrchestratorSpec
from tandem_operator.api.quantity import number

_MOST: Final = 64


def workers(orchestrator: OrchestratorSpec) -> int:
    """Return what is written of it, or how many processes the CPU limit keeps busy; one without a limit."""
    server, limit = orchestrator.config.server, orchestrator.resources.limits.get("cpu")
    if "workers" in server.model_fields_set:
        return server.workers
    return min(max(math.ceil(number(limit)), 1), _MOST) if limit else 1
