"""Hugging Face's Text Generation Inference."""

from typing import Any, Final

from tandem_orchestrator.engines.types.engine_type import EngineType, Gauges

_LOAD: Final = Gauges(b"tgi_queue_size", b"tgi_batch_current_size")


class Tgi(EngineType):
    """TGI, which lists its model under the path or repository that it was loaded from, and takes any name for it."""

    health_path = "/health"
    load_path = "/metrics"
    full_status = 429
    full_words = ("overloaded",)

    def counts(self, raw: bytes) -> tuple[int, int] | None:
        """Return the length of its queue and of its batch."""
        return _LOAD.read(raw)

    def models(self, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:  # noqa: ARG002 # see above
        """Return none: the names of its list are not those that it is asked for."""
        return []
