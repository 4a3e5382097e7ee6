"""vLLM."""

import re

from tandem_orchestrator.gateway.engine_types.engine_type import EngineType

_WAITING = re.compile(rb"^vllm:num_requests_waiting(?:\{[^}]*\})? (\S+)", re.MULTILINE)


class Vllm(EngineType):
    """vLLM tells its load in Prometheus' text format, one line for each of its data-parallel engines."""

    takes_cache_salt = True
    load_path = "/metrics"

    def waiting(self, raw: bytes) -> int | None:
        """The sum over the server's engines."""
        try:
            values = [float(value) for value in _WAITING.findall(raw)]
        except ValueError:
            return None
        return int(sum(values)) if values else None
