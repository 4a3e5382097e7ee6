"""How engines differ on the wire, each difference with where it is to be seen in that engine's source."""

from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

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
    iterations: int = 0


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
    cache: ClassVar[tuple[str, ...]] = (
        'vllm:cache_config_info{block_size="16",engine="0",kv_cache_size_tokens="184832",num_gpu_blocks="11552"} 1.0\n',
    )
    """v1/metrics/loggers.py: what its cache holds."""
    iterations: str | None = "vllm:iteration_tokens_total"
    """v1/metrics/loggers.py: of iterations that made tokens."""

    orders: ClassVar[dict[str, bool]] = {"/v1/load_lora_adapter": True, "/v1/unload_lora_adapter": False}
    """Where it loads an adapter, and where it forgets one."""

    def ordered(self, problem: str | None, load: Load) -> tuple[int, bytes]:  # noqa: ARG002 # for SGLang
        """entrypoints/openai/models/serving.py."""
        if problem is None:
            return 200, b"Success"
        status = {"cannot be found.": 404, "has already been loaded.": 400}.get(problem.partition("' ")[2], 500)
        error = {"message": problem, "type": "BadRequestError", "param": None, "code": status}
        return status, orjson.dumps({"error": error})

    reloads = False
    """Whether a request for an adapter that it has forgotten has it loaded again."""

    def unknown_adapter(self, name: str) -> str:
        return f"The lora adapter '{name}' cannot be found."

    def known_adapter(self, name: str) -> str:
        return f"The lora adapter '{name}' has already been loaded."

    def adapter(self, request: Json, load: Load) -> str | None:
        """Which adapter answers a request, None for the model itself."""
        return request.get("model") if request.get("model") in load.adapters else None

    def lacking(self, request: Json, load: Load) -> Answered | None:
        """What is said to a request for what is not there."""
        if request.get("model") in (load.model, *load.adapters):
            return None
        message = f"The model `{request.get('model')}` does not exist."
        return 404, {"error": {"message": message, "type": "NotFoundError", "param": "model", "code": 404}}

    def full(self, *, streamed: bool) -> Answered:  # noqa: ARG002 # for SGLang
        """exceptions.py: QueueOverflowError, before a stream begins."""
        said = "The engine is currently busy and cannot accept new requests. Please try again later or on a different "
        error = {"message": f"{said}instance.", "type": "ServiceUnavailableError", "param": None, "code": 503}
        return 503, {"error": error}

    def metrics(self, load: Load) -> bytes:
        labels = self.labels.format(model=load.model)
        counts = zip(self.gauges, (load.running, load.waiting), strict=True)
        lines = [f"# TYPE {name} gauge\n{name}{labels} {count}\n" for name, count in counts]
        if self.iterations:
            lines.append(f"# TYPE {self.iterations} histogram\n{self.iterations}_count{labels} {load.iterations}\n")
        return "".join([*lines, *self.cache]).encode()

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
    iterations = None
    cache = ()
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

    orders: ClassVar[dict[str, bool]] = {"/load_lora_adapter": True, "/unload_lora_adapter": False}
    """srt/entrypoints/http_server.py; with the same key as all else where there is no other, utils/auth.py."""
    reloads = True
    """srt/managers/tokenizer_manager.py: _resolve_lora_path, from its lora_ref_cache."""

    def ordered(self, problem: str | None, load: Load) -> tuple[int, bytes]:
        """srt/managers/io_struct.py: LoRAUpdateOutput; whatever goes wrong is a 400."""
        told = {"success": problem is None, "error_message": problem or "", "loaded_adapters": load.adapters}
        return 200 if problem is None else 400, orjson.dumps({"rid": None, "http_worker_ipc": None, **told})

    def unknown_adapter(self, name: str) -> str:
        """srt/lora/lora_registry.py: unregister."""
        return f"LoRA with name {name} does not exist. Loaded LoRAs: odict_keys([])"

    def known_adapter(self, name: str) -> str:
        """srt/lora/lora_manager.py: validate_new_adapter."""
        return f"Failed to load LoRA adapter {name} because it is already loaded"

    def models(self, load: Load) -> Json:
        """srt/entrypoints/http_server.py: available_models."""
        made = {"object": "model", "created": 1, "owned_by": "sglang"}
        base = {"id": load.model, **made, "root": load.model, "parent": None, "max_model_len": load.context}
        adapters = load.adapters.items()
        others = [{"id": i, **made, "root": root, "parent": load.model, "max_model_len": None} for i, root in adapters]
        return {"object": "list", "data": [base, *others]}

    def adapter(self, request: Json, load: Load) -> str | None:
        """srt/entrypoints/openai/serving_base.py: _parse_model_parameter and _resolve_lora_path."""
        model = str(request.get("model"))
        if model == load.model or ":" not in model:
            return request.get("lora_path")
        return model.removeprefix(f"{load.model}:") if model.startswith(f"{load.model}:") else model.split(":", 1)[1]

    def lacking(self, request: Json, load: Load) -> Answered | None:
        """srt/managers/tokenizer_manager.py: _resolve_lora_path. Any other model's name is taken for its own."""
        adapter = self.adapter(request, load)
        if adapter is None or adapter in load.adapters:
            return None
        message = f"Got LoRA adapter that has never been loaded: {adapter}\nAll loaded adapters: dict_keys([])."
        return 400, {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400}


class Tgi(Dialect):
    """3.3: router/src/server.rs, router/src/infer/mod.rs."""

    reasoning = "reasoning_content"
    tokenize = None
    iterations = None
    cache = ()
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
    iterations = None
    cache = ()
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
