"""llama.cpp's llama-server.

Each variable LLAMA_ARG_… is one of its options, and so is each line of a configuration file below XDG_CONFIG_HOME: all
of them are written in `extraArgs`, where what they may not be is checked once. A value is an argument of its own.
"""

import re
from typing import TYPE_CHECKING, Final

from tandem_contract import names
from tandem_contract.config import UpstreamType

from tandem_operator.engines import owned
from tandem_operator.engines.base import (
    ADDRESS,
    CACHE_PATH,
    CPU,
    HOMES,
    TEMPLATE_PATH,
    Capability,
    Engine,
    Environment,
    Probe,
    SpeculativeMethod,
)
from tandem_operator.engines.releases import LLAMACPP

if TYPE_CHECKING:
    from tandem_operator.api.component import EngineComponent
    from tandem_operator.api.llmservice import LLMService
    from tandem_operator.manifests.engine.model_files import ModelFiles

BUILD: Final = "b10775"
_IMAGE: Final = "ghcr.io/ggml-org/llama.cpp"

_OPTIONS: Final = (
    "-m",
    "--model",
    "-mu",
    "--model-url",
    "-dr",
    "--docker-repo",
    "-hf",
    "-hfr",
    "-hff",
    "-hft",
    "-a",
    "--alias",
    "--host",
    "--port",
    "--reuse-port",
    "--api-prefix",
    "--embeddings",
    "-ag",
    "-no-ag",
    "--agent",
    "--no-agent",
    "--path",
    "--props",
    "--slot-save-path",
    "--media-path",
)
"""Set from fields, or a door to more than the model: files, tools and other models on a request's word."""
_FAMILIES: Final = (
    "--models-",
    "--hf-",
    "--api-key",
    "--ssl-",
    "--tools",
    "--mcp-",
    "--ui",
    "--no-ui",
    "--webui",
    "--no-webui",
    # Presets, each of which is a model with an address of its own.
    "--embd-gemma-",
    "--fim-",
    "--gpt-oss-",
    "--vision-gemma-",
)
_FIELDS: Final = {
    "prefixCaching": ("--cache-prompt", "--no-cache-prompt"),
    "kvOffload": ("--cache-ram", "-cram"),
    "speculativeDecoding": (
        "--spec-type",
        "--spec-default",
        "--spec-draft-model",
        "--model-draft",
        "-md",
        "--spec-draft-hf",
        "-hfd",
        "-hfrd",
        "--spec-draft-n-max",
        "--spec-ngram-simple-size-m",
    ),
}
"""Options of fields that need not be set."""
_NO_STORE: Final = ("--cache-ram", "0")
_METHODS: Final = {
    SpeculativeMethod.NGRAM: "ngram-simple",
    SpeculativeMethod.DRAFT_MODEL: "draft-simple",
    SpeculativeMethod.EAGLE3: "draft-eagle3",
    SpeculativeMethod.MTP: "draft-mtp",
}


class LlamaCpp(Engine):
    """See `Engine`."""

    name = "llama.cpp"
    images = {  # noqa: RUF012 # as the class says, it does not change
        "nvidia.com/gpu": f"{_IMAGE}:server-cuda-{BUILD}",
        "amd.com/gpu": f"{_IMAGE}:server-rocm-{BUILD}",
        CPU: f"{_IMAGE}:server-{BUILD}",
    }
    capabilities = frozenset(
        {
            Capability.TOOLS,
            Capability.JSON_SCHEMA,
            Capability.LOGPROBS,
            Capability.EMBEDDINGS,
            Capability.RERANK,
            Capability.RESPONSES,
            Capability.TENSOR_PARALLEL,
            Capability.CHAT_TEMPLATE,
            Capability.PREFIX_CACHING,
            Capability.KV_OFFLOAD,
            Capability.KV_OFFLOAD_CPU,
            Capability.SPECULATIVE_DECODING,
            Capability.MODEL_FILE,
            Capability.HF_TOKEN,
            Capability.KEY,
            Capability.METRICS,
            Capability.SLEEP,
        }
    )
    sources = ("hf", "pvc", "oci")
    rules = (
        owned.options(
            _OPTIONS,
            _FAMILIES,
            "model, address, API key, TLS and embeddings have fields of their own; files, tools, agents and other "
            "models would be open to whoever reaches it",
        ),
        owned.hidden(hint="; write the value itself"),
        owned.variables(
            "LLAMA_ARG_.*|LLAMA_API_KEY|LLAMA_SERVER_.*|LLAMA_APP_CMD|AIP_.*|HOME|XDG_CONFIG_HOME|TANDEM_.*",
            "LLAMA_ARG_… (write the option in extraArgs instead), LLAMA_API_KEY, LLAMA_SERVER_…, LLAMA_APP_CMD, "
            "AIP_…, HOME, XDG_CONFIG_HOME or TANDEM_…, by which its address, key or options would come from elsewhere",
        ),
    )
    field_options = _FIELDS
    shortens_options = False
    upstream_type = UpstreamType.LLAMACPP
    releases = LLAMACPP
    command = ("/app/llama-server",)
    drains = False  # it cuts what it is writing
    starting = Probe("/health", period=5, timeout=5)
    serving = Probe("/health", period=10, timeout=10, failures=3)
    living = Probe("/health", period=30, timeout=30, failures=5)
    metrics_need_key = True
    model_errors = re.compile(
        r"(?i)failed to (load|open) (the )?(model|gguf)|error loading model|invalid magic|failed to download"
        r"|no such file or directory|unknown (pre-tokenizer|model architecture)|error: failed to get"
    )

    def arguments(
        self,
        service: "LLMService",  # noqa: ARG002
        component: "EngineComponent",
        files: "ModelFiles",
        image: str,  # noqa: ARG002
    ) -> list[str]:
        """See `Engine`."""
        engine, tools = component.spec, component.spec.tool_calling
        # Without a number of slots they share one context; with one, each has an equal part of it.
        context = engine.max_model_len * (engine.max_num_seqs or 1) if engine.max_model_len else None
        options = {
            **self._model(files),
            "--alias": component.model.served_name,
            "--host": "$(TANDEM_POD_IP)",
            "--port": names.ENGINE_PORT,
            "--ctx-size": context,
            "--parallel": engine.max_num_seqs,
            "--split-mode": "row" if (engine.parallelism.tensor or 1) > 1 else None,
            "--chat-template-file": TEMPLATE_PATH if tools.inline_chat_template else tools.chat_template,
        }
        written = [text for option, value in options.items() if value is not None for text in (option, str(value))]
        embeds = ["--embeddings"] if component.embeds else []
        by_field = self.field_arguments(component, files).values()
        written += [argument for each in by_field for argument in each]
        return [*written, *embeds, "--metrics", "--no-webui", *engine.extra_args]

    def field_arguments(self, component: "EngineComponent", files: "ModelFiles") -> dict[str, list[str]]:
        """See `Engine`."""
        engine = component.spec
        wanted: dict[str, list[str]] = {}
        if engine.prefix_caching is not None:  # without it, a store of prompts would only take memory
            wanted["prefixCaching"] = ["--cache-prompt"] if engine.prefix_caching else ["--no-cache-prompt", *_NO_STORE]
        if offload := engine.kv_offload:
            wanted["kvOffload"] = ["--cache-ram", str(offload.size_bytes // 2**20)]
        if speculative := engine.speculative_decoding:
            draft = self._draft(files.draft) if files.draft else []
            ngram = speculative.method is SpeculativeMethod.NGRAM
            most = "--spec-ngram-simple-size-m" if ngram else "--spec-draft-n-max"
            method = ["--spec-type", _METHODS[speculative.method], most, str(speculative.tokens)]
            wanted["speculativeDecoding"] = [*method, *draft]
        return wanted

    def environment(self, service: "LLMService", component: "EngineComponent") -> Environment:  # noqa: ARG002
        """See `Engine`."""
        own: Environment = {
            "LLAMA_CACHE": f"{CACHE_PATH}/llama.cpp",
            "LLAMA_API_KEY": service.engine_key,
            "TANDEM_POD_IP": ADDRESS,
        }
        return {**HOMES, **own}

    def _draft(self, files: "ModelFiles") -> list[str]:
        if files.volume is None:
            return ["--spec-draft-hf", files.model, *(["--spec-draft-model", files.file] if files.file else [])]
        return ["--spec-draft-model", f"{files.model}/{files.file}"]

    def _model(self, files: "ModelFiles") -> dict[str, str | None]:
        if files.volume is None:
            return {"--hf-repo": files.model, "--hf-file": files.file}
        return {"--model": f"{files.model}/{files.file}"}
