"""How engines differ on the wire, each difference with where it is to be seen in that engine's source."""

from dataclasses import dataclass
from typing import Any, ClassVar

Json = dict[str, Any]
Answered = tuple[int, Any]


@dataclass(frozen=True)
class Load:
    """What an engine knows of itself at the moment."""

    model: str
    adapters: dict[str, str | None]
    """Where each is from, by its name."""
    context: int
    running: int
    waiting: int


class Dialect:
    """vLLM's, 0.33; others say what is different."""

    reasoning = "reasoning"
    """entrypoints/openai/chat_completion/protocol.py: ChatMessage."""
    unauthorized: Answered = (401, {"error": "Unauthorized"})
    loading: Answered = (503, {"error": "loading"})
    tokenize: str | None = "/tokenize"
    health: str | None = "/health"
    open_metrics = True
    """Whether /metrics asks for no key."""
    gauges: ClassVar[tuple[str, str]] = ("vllm:num_requests_running", "vllm:num_requests_waiting")
    labels = '{{engine="0",model_name="{model}"}}'

    def full(self, *, streamed: bool) -> Answered:  # noqa: ARG002 # for SGLang
        """exceptions.py: QueueOverflowError, before a stream begins."""
        said = "The engine is currently busy and cannot accept new requests. Please try again later or on a different "
        error = {"message": f"{said}instance.", "type": "ServiceUnavailableError", "param": None, "code": 503}
        return 503, {"error": error}

    def metrics(self, load: Load) -> bytes:
        labels = self.labels.format(model=load.model)
        counts = zip(self.gauges, (load.running, load.waiting), strict=True)
        return "".join(f"# TYPE {name} gauge\n{name}{labels} {count}\n" for name, count in counts).encode()

    def models(self, load: Load) -> Json:
        entry = {"object": "model", "created": 1, "owned_by": "vllm", "max_model_len": load.context}
        entries = [{"id": load.model, **entry, "parent": None}]
        entries += [{"id": name, **entry, "parent": load.model, "root": root} for name, root in load.adapters.items()]
        return {"object": "list", "data": entries}

    def tokens(self, count: int, load: Load) -> Json:
        return {"count": count, "max_model_len": load.context, "tokens": list(range(count)), "token_strs": None}


class SGLang(Dialect):
    """0.5.23."""

    reasoning = "reasoning_content"
    """srt/entrypoints/openai/protocol.py: ChatMessage."""
    tokenize = "/v1/tokenize"
    gauges = ("sglang:num_running_reqs", "sglang:num_queue_reqs")
    """srt/observability/metrics_collector.py."""
    labels = '{{engine_type="unified",model_name="{model}",tp_rank="0"}}'

    def full(self, *, streamed: bool) -> Answered:
        """srt/managers/scheduler.py: _abort_on_queued_limit; a stream tells it as its first event, within a 200."""
        error = {"object": "error", "message": "The request queue is full.", "param": None, "code": 503}
        if streamed:
            return 200, {"error": {**error, "type": "SERVICE_UNAVAILABLE"}}
        return 503, {**error, "type": "503"}

    def tokens(self, count: int, load: Load) -> Json:
        return {"tokens": list(range(count)), "count": count, "max_model_len": load.context}


class Tgi(Dialect):
    """3.3: router/src/server.rs, router/src/infer/mod.rs."""

    reasoning = "reasoning_content"
    tokenize = None
    gauges = ("tgi_batch_current_size", "tgi_queue_size")
    labels = ""

    def full(self, *, streamed: bool) -> Answered:  # noqa: ARG002
        """InferError::Overloaded."""
        return 429, {"error": "Model is overloaded", "error_type": "overloaded"}

    def models(self, load: Load) -> Json:
        """What it was loaded from, whatever its clients call it."""
        entry = {"id": f"/models/{load.model}", "object": "model", "created": 0, "owned_by": f"/models/{load.model}"}
        return {"object": "list", "data": [entry]}


class Ollama(Dialect):
    """0.17: openai/openai.go, server/sched.go, server/routes.go."""

    tokenize = health = None

    def full(self, *, streamed: bool) -> Answered:  # noqa: ARG002
        """ErrMaxQueue; two spaces are its own."""
        said = "server busy, please try again.  maximum pending requests exceeded"
        return 503, {"error": {"message": said, "type": "api_error", "param": None, "code": None}}

    def metrics(self, load: Load) -> bytes:  # noqa: ARG002
        return b""

    def models(self, load: Load) -> Json:
        """Names have a tag, also where none was given."""
        name = load.model if ":" in load.model else f"{load.model}:latest"
        return {"object": "list", "data": [{"id": name, "object": "model", "created": 1, "owned_by": "library"}]}


class LlamaCpp(Dialect):
    """tools/server in the sources of llama-cpp-python 0.3.36."""

    reasoning = "reasoning_content"
    unauthorized = (401, {"error": {"message": "Invalid API Key", "type": "authentication_error", "code": 401}})
    loading = (503, {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}})
    """server-http.cpp: middleware_server_state, for every path."""
    tokenize = "/v1/chat/completions/input_tokens"
    open_metrics = False
    gauges = ("llamacpp:requests_processing", "llamacpp:requests_deferred")
    """server-task.cpp."""
    labels = ""

    def models(self, load: Load) -> Json:
        """server-context.cpp: get_res_model_info."""
        meta = {"n_vocab": 32000, "n_ctx": load.context, "n_ctx_train": 2 * load.context, "n_params": 1}
        entry = {"id": load.model, "aliases": [load.model], "object": "model", "created": 1, "owned_by": "llamacpp"}
        return {"models": [{"name": load.model}], "object": "list", "data": [{**entry, "meta": meta}]}

    def tokens(self, count: int, load: Load) -> Json:  # noqa: ARG002
        """server-context.cpp: handle_count_tokens."""
        return {"input_tokens": count}


DIALECTS: dict[str, Dialect] = {
    "vllm": Dialect(),
    "sglang": SGLang(),
    "tgi": Tgi(),
    "ollama": Ollama(),
    "llamacpp": LlamaCpp(),
}
