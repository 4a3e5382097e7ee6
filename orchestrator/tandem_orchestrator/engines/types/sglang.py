"""SGLang."""

from typing import Final

from tandem_orchestrator.engines.types.engine_type import EngineType, Gauges

_LOAD: Final = Gauges(b"sglang:num_queue_reqs", b"sglang:num_running_reqs")


class SGLang(EngineType):
    """SGLang. Its /health generates a token, which a busy server is slow at: the list of models is asked instead."""

    tokens_path = "/v1/tokenize"
    load_path = "/metrics"
    full_words = ("request queue is full", "aborted by a higher priority request")

    def counts(self, raw: bytes) -> tuple[int, int] | None:
        """Return the sums over the server's schedulers."""
        return _LOAD.read(raw)
