"""SGLang, whose arguments argparse reads: the beginning of an option's name is enough, and so is an alias."""

import re
from typing import TYPE_CHECKING, Final

from tandem_contract import names
from tandem_contract.config import UpstreamType

from tandem_operator.engines import owned
from tandem_operator.engines.base import (
    ADDRESS,
    CACHE_PATH,
    HOMES,
    HUB_ERRORS,
    TEMPLATE_PATH,
    Capability,
    Engine,
    Environment,
    Probe,
    SpeculativeMethod,
)
from tandem_operator.engines.releases import SGLANG

if TYPE_CHECKING:
    from tandem_operator.api.component import EngineComponent
    from tandem_operator.api.llmservice import LLMService
    from tandem_operator.manifests.engine.model_files import ModelFiles

VERSION: Final = "v0.5.23"

_ENV: Final = {
    **HOMES,
    "TORCHINDUCTOR_CACHE_DIR": f"{CACHE_PATH}/torchinductor",
    "TRITON_CACHE_DIR": f"{CACHE_PATH}/triton",
    "FLASHINFER_WORKSPACE_BASE": CACHE_PATH,
}

_OPTIONS: Final = (
    "--model-path",
    "--model",
    "--revision",
    "--served-model-name",
    "--is-embedding",
    "--host",
    "--port",
    "--fastapi-root-path",
    "--api-key",
    "--admin-api-key",
    "--tp-size",
    "--tensor-parallel-size",
    "--pp-size",
    "--pipeline-parallel-size",
    "--nnodes",
    "--node-rank",
    "--dist-init-addr",
    "--nccl-init-addr",
    "--config",
    "--use-ray",
    "--tool-server",
    "--max-loaded-loras",
)
"""Set from fields, or at odds with the pod: its accelerators, its port and its key. A --config may hold them all."""
_LORA: Final = ("--enable-lora", "--max-lora-rank=16", "--lora-target-modules=all")
"""It starts with all three or not at all where adapters come later; 16 is vLLM's default, too, and `extraArgs` win."""
_FAMILIES: Final = ("--ssl-", "--enable-ssl-", "--grpc-", "--smg-", "--sidecar", "--disaggregation-mode")
_FIELDS: Final = {
    "prefixCaching": ("--disable-radix-cache",),
    "kvOffload": ("--enable-hierarchical-cache", "--enable-hicache", "--hicache-size", "--hicache-ratio"),
    "speculativeDecoding": (
        "--speculative-algorithm",
        "--speculative-draft-model-path",
        "--speculative-draft-model",
        "--speculative-draft-model-revision",
        "--speculative-num-steps",
        "--speculative-eagle-topk",
        "--speculative-num-draft-tokens",
    ),
    "structuredOutputs": ("--grammar-backend",),
}
"""Options of fields that need not be set."""
_ALGORITHMS: Final = {
    SpeculativeMethod.NGRAM: "NGRAM",
    SpeculativeMethod.DRAFT_MODEL: "STANDALONE",
    SpeculativeMethod.EAGLE3: "EAGLE3",
    SpeculativeMethod.MTP: "NEXTN",
}
_BACKENDS: Final = {"guidance": "llguidance"}
"""What it calls structured-output backends, where others call them otherwise."""


class SGLang(Engine):
    """See `Engine`."""

    name = "SGLang"
    images = {"nvidia.com/gpu": f"docker.io/lmsysorg/sglang:{VERSION}"}  # noqa: RUF012 # it does not change
    capabilities = frozenset(Capability) - {Capability.MODEL_FILE, Capability.KV_OFFLOAD_CPU}
    sources = ("hf", "pvc", "oci")
    rules = (
        owned.options(
            _OPTIONS,
            _FAMILIES,
            "model, served name, address, keys, TLS, parallelism and which adapters are loaded have fields of their "
            "own; gRPC, sidecars, other nodes and a --config would open or move it",
        ),
        owned.hidden(),
        owned.variables(
            "SGLANG_(PORT|GRPC_.*|RUST_SERVER.*)|TANDEM_.*",
            "SGLANG_PORT, SGLANG_GRPC_…, SGLANG_RUST_SERVER… or TANDEM_…, by which it would be reached elsewhere, or "
            "without its key",
        ),
    )
    field_options = _FIELDS
    upstream_type = UpstreamType.SGLANG
    releases = SGLANG
    command = ("python3", "-m", "sglang.launch_server")
    # It generates a token to say that it is well, for which it gives itself 20 s.
    starting = Probe("/health", period=10, timeout=20)
    serving = Probe("/health", period=20, timeout=20, failures=3)
    living = Probe("/health", period=30, timeout=30, failures=5)
    model_errors = re.compile(HUB_ERRORS + r"|cannot find any model weights")

    def arguments(
        self,
        service: "LLMService",
        component: "EngineComponent",
        files: "ModelFiles",
        image: str,  # noqa: ARG002
    ) -> list[str]:
        """See `Engine`."""
        engine, tools = component.spec, component.spec.tool_calling
        embeds = component.embeds
        options = {
            "--model-path": files.model,
            "--revision": files.revision,
            "--served-model-name": component.model.served_name,
            "--host": "$(TANDEM_POD_IP)",
            "--port": names.ENGINE_PORT,
            "--api-key": "$(TANDEM_ENGINE_KEY)",
            "--tp-size": engine.tensor_parallel,
            "--pp-size": engine.parallelism.pipeline,
            "--dtype": engine.dtype,
            "--context-length": engine.max_model_len,
            "--quantization": engine.quantization,
            "--max-running-requests": engine.max_num_seqs,
            "--max-queued-requests": None if embeds else service.spec.orchestrator.config.routing.max_waiting,
            "--tool-call-parser": tools.parser if tools.enabled else None,
            "--reasoning-parser": tools.reasoning_parser,
            "--chat-template": TEMPLATE_PATH if tools.inline_chat_template else tools.chat_template,
        }
        written = [f"{option}={value}" for option, value in options.items() if value is not None]
        by_field = self.field_arguments(component, files).values()
        written += [argument for each in by_field for argument in each]
        flags = ["--enable-metrics", *(["--is-embedding"] if embeds else [])]
        flags += _LORA if component.model.adapters is not None else []
        return [*written, *flags, *engine.extra_args]

    def field_arguments(self, component: "EngineComponent", files: "ModelFiles") -> dict[str, list[str]]:
        """See `Engine`."""
        engine = component.spec
        wanted: dict[str, list[str]] = {}
        if engine.prefix_caching is not None:  # which it has anyway
            wanted["prefixCaching"] = [] if engine.prefix_caching else ["--disable-radix-cache"]
        if offload := engine.kv_offload:
            gigabytes = offload.size_bytes // 10**9 // (engine.tensor_parallel * engine.parallelism.pipeline)
            wanted["kvOffload"] = ["--enable-hierarchical-cache", f"--hicache-size={gigabytes}"]
        if speculative := engine.speculative_decoding:
            # What it calls draft tokens counts the token that they follow.
            shape = [f"--speculative-num-draft-tokens={speculative.tokens + 1}"]
            if speculative.method is SpeculativeMethod.NGRAM:
                shape += ["--speculative-ngram-max-bfs-breadth=1"]  # few attention backends check a tree
            else:
                draft = files.draft or files
                shape += [f"--speculative-num-steps={speculative.tokens}", "--speculative-eagle-topk=1"]
                shape += [f"--speculative-draft-model-path={draft.model}"]
                shape += [f"--speculative-draft-model-revision={draft.revision}"] if draft.revision else []
            wanted["speculativeDecoding"] = [f"--speculative-algorithm={_ALGORITHMS[speculative.method]}", *shape]
        if structured := engine.structured_outputs:
            backend = _BACKENDS.get(structured.backend, structured.backend)
            wanted["structuredOutputs"] = [f"--grammar-backend={backend}"]
        return wanted

    def environment(self, service: "LLMService", component: "EngineComponent") -> Environment:  # noqa: ARG002
        """See `Engine`; the key is a variable because SGLang takes it as an argument alone."""
        return {**_ENV, "TANDEM_ENGINE_KEY": service.engine_key, "TANDEM_POD_IP": ADDRESS}
