"""llama.cpp's llama-server."""

from typing import Any, Final

from tandem_orchestrator.engines.types.engine_type import EngineType, Gauges

_LOAD: Final = Gauges(b"llamacpp:requests_deferred", b"llamacpp:requests_processing")


class LlamaCpp(EngineType):
    """llama-server. It queues without bound, so that it is never full; its 503 means that it loads its model."""

    health_path = "/health"
    load_path = "/metrics"
    tokens_path = "/v1/chat/completions/input_tokens"

    def counts(self, raw: bytes) -> tuple[int, int] | None:
        """Return what waits for a slot, and the slots that are taken."""
        return _LOAD.read(raw)

    def tokens(self, answer: dict[str, Any], listed: list[dict[str, Any]]) -> tuple[int, int] | None:
        """Return the count with the context of a slot, which its list of models tells."""
        found = answer.get("input_tokens")
        meta = listed[0].get("meta") if listed else None
        most = meta.get("n_ctx") if isinstance(meta, dict) else None
        return (found, most) if isinstance(found, int) and isinstance(most, int) else None
