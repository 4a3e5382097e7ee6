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


class SGLang(Engine):
    """See `Engine`."""

    name = "SGLang"
    images = {"nvidia.com/gpu": f"docker.io/lmsysorg/sglang:{VERSION}"}  # noqa: RUF012 # it does not change
    capabilities = frozenset(Capability) - {Capability.MODEL_FILE}
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
        flags = ["--enable-metrics", *(["--is-embedding"] if embeds else [])]
        flags += _LORA if component.model.adapters is not None else []
        return [*written, *flags, *engine.extra_args]

    def environment(self, service: "LLMService", component: "EngineComponent") -> Environment:  # noqa: ARG002
        """See `Engine`; the key is a variable because SGLang takes it as an argument alone."""
        return {**_ENV, "TANDEM_ENGINE_KEY": service.engine_key, "TANDEM_POD_IP": ADDRESS}
