"""vLLM."""

import re
from typing import Final

from tandem_orchestrator.engines.types.engine_type import EngineType

HARMONY: Final = "gpt-oss"
_COUNT: Final = re.compile(rb"^vllm:num_requests_(waiting|running)(?:\{[^}]*\})? (\S+)", re.MULTILINE)


class Vllm(EngineType):
    """vLLM tells its load in Prometheus' text format, a line for each count of each of its data-parallel engines."""

    takes_cache_salt = True
    health_path = "/health"
    tokens_path = "/tokenize"
    load_path = "/metrics"
    reasoning_field = "reasoning"

    def prefers_responses(self, model: str) -> bool:
        """Return true for models that speak Harmony: their reasoning is lost between two turns of a chat."""
        return HARMONY in model.lower()

    def counts(self, raw: bytes) -> tuple[int, int] | None:
        """Return the sums over the server's engines."""
        sums: dict[bytes, float] = {}
        try:
            for name, value in _COUNT.findall(raw):
                sums[name] = sums.get(name, 0.0) + float(value)
        except ValueError:
            return None
        return (int(sums[b"waiting"]), int(sums.get(b"running", 0))) if b"waiting" in sums else None
