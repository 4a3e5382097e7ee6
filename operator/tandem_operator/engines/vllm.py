"""vLLM.

What of its command line is the operator's is so in every spelling that vLLM's parser takes. An option's name ends at
`=`, or at a dot that leads into a JSON document; `_` counts as `-`; the beginning of a name is enough where no other
option begins so; a short option may have its value right behind it. What begins as an option is one, wherever it
stands.
"""

import json
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tandem_contract import names
from tandem_contract.config import UpstreamType

from tandem_operator.engines import owned
from tandem_operator.engines.base import (
    ADDRESS,
    CACHE_PATH,
    CPU,
    HOMES,
    HUB_ERRORS,
    TEMPLATE_PATH,
    Capability,
    Engine,
    Environment,
    Probe,
)
from tandem_operator.engines.releases import VLLM

if TYPE_CHECKING:
    from tandem_operator.api.component import EngineComponent
    from tandem_operator.api.llmservice import LLMService
    from tandem_operator.manifests.engine.model_files import ModelFiles

VERSION: Final = "v0.33.0"

_ENV: Final = {
    **HOMES,
    "VLLM_CACHE_ROOT": f"{CACHE_PATH}/vllm",
    "TORCHINDUCTOR_CACHE_DIR": f"{CACHE_PATH}/torchinductor",
    "TRITON_CACHE_DIR": f"{CACHE_PATH}/triton",
    "VLLM_NO_USAGE_STATS": "1",
}

_OPTIONS: Final = (
    "--model",
    "--served-model-name",
    "--host",
    "--port",
    "--uds",
    "--root-path",
    "--api-key",
    "--hf-token",
    "--tensor-parallel-size",
    "--pipeline-parallel-size",
    "--prefill-context-parallel-size",
    "--nnodes",
    "--node-rank",
    "--headless",
    "--shutdown-timeout",
    "--config",
)
"""Set from fields, or at odds with the pod: its accelerators, its port and probes. A --config may hold them all."""
_FAMILIES: Final = ("--ssl-", "--grpc", "--data-parallel-", "-tp", "-pp", "-pcp", "-dp", "-n", "-r")
"""Whatever begins with one of these is the operator's, too."""
_FIELDS: Final = {
    "prefixCaching": ("--enable-prefix-caching", "--no-enable-prefix-caching"),
    # A --kv-transfer-config has its connector replaced.
    "kvOffload": ("--kv-offloading-size", "--kv-offloading-backend", "--kv-transfer-config"),
    "speculativeDecoding": ("--speculative-config", "-sc", "--spec-method", "--spec-model", "--spec-tokens"),
    "structuredOutputs": ("--structured-outputs-config",),
}
"""Options of fields that need not be set."""
_HIDDEN: Final = "^((-[^.=]*|-O=?)?[$][(]|-O=?-)"
"""vLLM takes what follows -O for another argument."""
_MOST_SEQS: Final = 1024
"""The most that vLLM runs at once where nobody says how many, which depends on the accelerator."""
_ASKED_ALL_THE_TIME: Final = "/health,/metrics,/v1/models"
_POLICY: Final = re.compile(r"(?:^| )--scheduling[-_]policy[= ](\S+)")


class Vllm(Engine):
    """See `Engine`."""

    name = "vLLM"
    images = {  # noqa: RUF012 # as the class says, it does not change
        "nvidia.com/gpu": f"docker.io/vllm/vllm-openai:{VERSION}",
        "amd.com/gpu": f"docker.io/vllm/vllm-openai-rocm:{VERSION}",
        CPU: f"docker.io/vllm/vllm-openai-cpu:{VERSION}",
    }
    capabilities = frozenset(Capability) - {Capability.MODEL_FILE, Capability.KV_OFFLOAD_CPU}
    sources = ("hf", "pvc", "oci", "s3")
    rules = (
        owned.options(
            _OPTIONS,
            _FAMILIES,
            "model, served name, address, API key, Hugging Face token, TLS, parallelism and shutdown have fields of "
            "their own",
        ),
        owned.hidden(_HIDDEN, ", nor have one behind -O; a value may be a variable, as in --option=$(NAME)"),
        owned.variables(
            "VLLM_(API_KEY|PORT|HOST_IP|DP_.*|SERVER_DEV_MODE|USE_RUST_FRONTEND|ALLOW_RUNTIME_LORA_UPDATING)",
            "VLLM_API_KEY, VLLM_PORT, VLLM_HOST_IP or VLLM_DP_…, which are the operator's, nor VLLM_SERVER_DEV_MODE "
            "or VLLM_USE_RUST_FRONTEND, which serve without its key, nor VLLM_ALLOW_RUNTIME_LORA_UPDATING, which "
            "follows from model.adapters",
        ),
    )
    field_options = _FIELDS
    offloads_to_shared_memory = True
    loads_for_anyone = True  # at /adapters
    upstream_type = UpstreamType.VLLM
    releases = VLLM
    command = ("vllm", "serve")
    # From SIGTERM on it still accepts requests and answers them with nothing, so by then none may come.
    starting = Probe("/health", period=10, timeout=5)
    serving = Probe("/health", period=10, timeout=10, failures=3)
    # Saturation makes /health slow, which is no reason to kill a working engine; 150 s of silence are.
    living = Probe("/health", period=30, timeout=30, failures=5)
    model_errors = re.compile(HUB_ERRORS + r"|cannot find (the requested files|any model weights)")

    def arguments(
        self, service: "LLMService", component: "EngineComponent", files: "ModelFiles", image: str
    ) -> list[str]:
        """See `Engine`; what a release may lack is left out unless the image's tag tells of one that has it."""
        engine, tools = component.spec, component.spec.tool_calling
        config, generates = service.spec.orchestrator.config, not component.embeds
        template = TEMPLATE_PATH if tools.inline_chat_template else tools.chat_template
        newer = {
            # It counts what runs, too.
            "--max-num-queued-reqs": (engine.max_num_seqs or _MOST_SEQS) + config.routing.max_waiting
            if generates
            else None,
            "--fingerprint-mode": "none",
            "--disable-access-log-for-endpoints": _ASKED_ALL_THE_TIME,
        }
        options = {
            "--revision": files.revision,
            "--load-format": "runai_streamer" if files.streamed else None,
            "--served-model-name": component.model.served_name,
            "--runner": "pooling" if component.embeds else None,
            # vLLM listens at one family of addresses: the one that the pod has here, which probes and Services use.
            "--host": "$(VLLM_HOST_IP)",
            "--port": names.ENGINE_PORT,
            "--tensor-parallel-size": engine.tensor_parallel,
            "--pipeline-parallel-size": engine.parallelism.pipeline,
            "--dtype": engine.dtype,
            "--max-model-len": engine.max_model_len,
            "--quantization": engine.quantization,
            "--max-num-seqs": engine.max_num_seqs,
            "--tool-call-parser": tools.parser if tools.enabled else None,
            "--reasoning-parser": tools.reasoning_parser,
            "--chat-template": template,
            "--shutdown-timeout": math.ceil(config.drain_seconds),
            **{option: value for option, value in newer.items() if VLLM.has(image, option)},
        }
        written = [f"{option}={value}" for option, value in options.items() if value is not None]
        flags = {"--enable-auto-tool-choice": tools.enabled, "--enable-lora": component.model.adapters is not None}
        written += [flag for flag, on in flags.items() if on]
        by_field = self.field_arguments(component, files).values()
        return [files.model, *written, *(argument for each in by_field for argument in each), *engine.extra_args]

    def field_arguments(self, component: "EngineComponent", files: "ModelFiles") -> dict[str, list[str]]:
        """See `Engine`."""
        engine = component.spec
        wanted: dict[str, list[str]] = {}
        if engine.prefix_caching is not None:
            wanted["prefixCaching"] = [f"--{'' if engine.prefix_caching else 'no-'}enable-prefix-caching"]
        if offload := engine.kv_offload:
            wanted["kvOffload"] = [f"--kv-offloading-size={offload.size_bytes / 2**30:.12g}"]
        if speculative := engine.speculative_decoding:
            config = {"method": speculative.method.replace("-", "_"), "num_speculative_tokens": speculative.tokens}
            if draft := files.draft:
                config |= {"model": draft.model, **({"revision": draft.revision} if draft.revision else {})}
            wanted["speculativeDecoding"] = [f"--speculative-config={json.dumps(config)}"]
        if structured := engine.structured_outputs:
            wanted["structuredOutputs"] = [f"--structured-outputs-config.backend={structured.backend}"]
        return wanted

    def takes_priority(self, extra_args: Sequence[str]) -> bool:
        """See `Engine`."""
        policies = _POLICY.findall(" ".join(extra_args))
        return bool(policies) and policies[-1] == "priority"

    def environment(self, service: "LLMService", component: "EngineComponent") -> Environment:
        """See `Engine`."""
        # vLLM gives up on its own processes after 10 minutes otherwise, however long Kubernetes would wait.
        own = {"VLLM_ENGINE_READY_TIMEOUT_S": str(component.spec.startup_seconds)}
        if component.model.adapters is not None:
            own["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "True"
        return {**_ENV, **own, "VLLM_API_KEY": service.engine_key, "VLLM_HOST_IP": ADDRESS}
