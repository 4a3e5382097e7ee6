"""SGLang."""

from typing import Any, Final

from tandem_orchestrator.engines.types.engine_type import EngineType, Gauges

_LOAD: Final = Gauges(b"sglang:num_queue_reqs", b"sglang:num_running_reqs")


class SGLang(EngineType):
    """SGLang. Its /health generates a token, which a busy server is slow at: the list of models is asked instead."""

    tokens_path = "/v1/tokenize"
    load_path = "/metrics"
    full_words = ("request queue is full", "aborted by a higher priority request")
    loads_adapters = True
    half_dropped_words = "has an incomplete unload"
    adapter_field = "lora_path"
    """It takes any `model` for its own, but for one with a colon, which it reads as MODEL:ADAPTER."""

    def load_adapter(self, name: str, path: str) -> tuple[str, dict[str, Any]]:
        """As its release 0.5.23 has it; `path` may be a repository."""
        return "/load_lora_adapter", {"lora_name": name, "lora_path": path}

    def drop_adapter(self, name: str) -> tuple[str, dict[str, Any]]:
        """As above; it answers when the requests that use it are done, and takes no others for it meanwhile."""
        return "/unload_lora_adapter", {"lora_name": name}

    def counts(self, raw: bytes) -> tuple[int, int] | None:
        """Return the sums over the server's schedulers."""
        return _LOAD.read(raw)
