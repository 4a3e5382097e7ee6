"""vLLM."""

import re
from typing import Any, Final

from tandem_orchestrator.engines.types.engine_type import EngineType, Gauges

HARMONY: Final = "gpt-oss"
_LOAD: Final = Gauges(b"vllm:num_requests_waiting", b"vllm:num_requests_running")
_ITERATIONS: Final = b"vllm:iteration_tokens_total_count"
_PROGRESS: Final = re.compile(rb"^(?:" + _ITERATIONS + rb"|vllm:kv_cache_usage_perc)[{ ].*", re.MULTILINE)
"""Both are its core's own word: iterations that make no token are not counted, but a long prompt fills the cache."""

_CACHE: Final = re.compile(rb'^vllm:cache_config_info\{[^}]*\bkv_cache_size_tokens="([0-9]{1,15})"', re.MULTILINE)
"""Since its release 0.31 or before: its own word of what the cache holds, whatever kinds of layers the model has."""


class Vllm(EngineType):
    """vLLM, whose load has a line for each of a server's data-parallel engines."""

    takes_cache_salt = True
    health_path = "/health"
    tokens_path = "/tokenize"
    load_path = "/metrics"
    reasoning_field = "reasoning"
    full_words = ("currently busy and cannot accept new requests", "reached its prefill token backlog limit")
    """Of its `QueueOverflowError` and `MaxQueuedTokensError`."""

    loads_adapters = True

    def load_adapter(self, name: str, path: str) -> tuple[str, dict[str, Any]]:
        """As its release 0.32 has it; `path` may be a repository."""
        return "/v1/load_lora_adapter", {"lora_name": name, "lora_path": path}

    def drop_adapter(self, name: str) -> tuple[str, dict[str, Any]]:
        """As above."""
        return "/v1/unload_lora_adapter", {"lora_name": name}

    def prefers_responses(self, model: str) -> bool:
        """Return true for models that speak Harmony: their reasoning is lost between two turns of a chat."""
        return HARMONY in model.lower()

    def kv_tokens(self, raw: bytes) -> int | None:
        """Return the sum over the server's engines."""
        found = _CACHE.findall(raw)
        return sum(map(int, found)) if found else None

    def counts(self, raw: bytes) -> tuple[int, int] | None:
        """Return the sums over the server's engines."""
        return _LOAD.read(raw)

    def progress(self, raw: bytes) -> object:
        """Return what it tells of iterations and of its cache, as it stands there."""
        found = _PROGRESS.findall(raw)
        return tuple(found) if any(line.startswith(_ITERATIONS) for line in found) else None

    def least(self, model: str) -> list[tuple[str, dict[str, Any]]]:
        """Return a completion of one token, and an embedding for models that make nothing else."""
        return [
            ("/v1/completions", {"model": model, "prompt": "1", "max_tokens": 1}),
            ("/v1/embeddings", {"model": model, "input": "1"}),
        ]
