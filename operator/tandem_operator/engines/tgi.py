"""Hugging Face's Text Generation Inference.

Each of its options is a variable, too, and one that is given twice is an error.
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
    HUB_ERRORS,
    Capability,
    Engine,
    Environment,
    Probe,
)

if TYPE_CHECKING:
    from tandem_operator.api.component import EngineComponent
    from tandem_operator.api.llmservice import LLMService
    from tandem_operator.manifests.engine.model_files import ModelFiles

VERSION: Final = "3.3.6"
_IMAGE: Final = "ghcr.io/huggingface/text-generation-inference"
_ENV: Final = {
    **HOMES,
    "HUGGINGFACE_HUB_CACHE": f"{CACHE_PATH}/huggingface/hub",
    "TRITON_CACHE_DIR": f"{CACHE_PATH}/triton",
    "USAGE_STATS": "off",
}
_MOST_SEQS: Final = 1024
"""More than it runs at once, where nobody says how many."""

_OPTIONS: Final = (
    "--model-id",
    "--revision",
    "--sharded",
    "--num-shard",
    "--shard-uds-path",
    "--quantize",
    "--max-total-tokens",
    "--max-batch-size",
    "--max-concurrent-requests",
    "--hostname",
    "--port",
    "--prometheus-port",
    "--master-addr",
    "--master-port",
    "--huggingface-hub-cache",
    "--weights-cache-override",
    "--api-key",
    "--usage-stats",
    "--env",
)
_FAMILIES: Final = ("--ngrok", "-p", "-e")


class Tgi(Engine):
    """See `Engine`."""

    name = "TGI"
    images = {  # noqa: RUF012 # as the class says, it does not change
        "nvidia.com/gpu": f"{_IMAGE}:{VERSION}",
        "amd.com/gpu": f"{_IMAGE}:{VERSION}-rocm",
        CPU: f"{_IMAGE}:{VERSION}-intel-cpu",
    }
    capabilities = frozenset(
        {
            Capability.TOOLS,
            Capability.JSON_SCHEMA,
            Capability.LOGPROBS,
            Capability.TENSOR_PARALLEL,
            Capability.QUANTIZATION,
            Capability.REVISION,
            Capability.HF_TOKEN,
            Capability.KEY,
            Capability.METRICS,
            Capability.ADMISSION,
        }
    )
    sources = ("hf", "pvc", "oci")
    rules = (
        owned.options(
            _OPTIONS,
            _FAMILIES,
            "model, quantization, maxModelLen, maxNumSeqs, address, API key and parallelism have fields of their own, "
            "and a tunnel would open it",
        ),
        owned.hidden(),
        owned.variables(
            "MODEL_ID|REVISION|SHARDED|NUM_SHARD|SHARD_UDS_PATH|QUANTIZE|MAX_TOTAL_TOKENS|MAX_BATCH_SIZE"
            "|MAX_CONCURRENT_REQUESTS|HOSTNAME|PORT|PROMETHEUS_PORT|MASTER_(ADDR|PORT)|API_KEY|NGROK.*|TANDEM_.*",
            "MODEL_ID, REVISION, SHARDED, NUM_SHARD, SHARD_UDS_PATH, QUANTIZE, MAX_TOTAL_TOKENS, MAX_BATCH_SIZE, "
            "MAX_CONCURRENT_REQUESTS, HOSTNAME, PORT, PROMETHEUS_PORT, MASTER_…, API_KEY, NGROK… or TANDEM_…, which "
            "are options that the operator sets",
        ),
    )
    upstream_type = UpstreamType.TGI
    # What the image's entry point does, without a shell that splits arguments at their spaces.
    command = (
        "/bin/sh",
        "-c",
        'if [ -e .venv/bin/activate ]; then . .venv/bin/activate; fi; exec text-generation-launcher "$@"',
        "text-generation-launcher",
    )
    starting = Probe("/health", period=10, timeout=10)
    serving = Probe("/health", period=10, timeout=10, failures=3)
    living = Probe("/health", period=30, timeout=30, failures=5)
    model_errors = re.compile(HUB_ERRORS + r"|no such file or directory|(download|no weights) ?error|weightsnotfound")

    def arguments(
        self,
        service: "LLMService",
        component: "EngineComponent",
        files: "ModelFiles",
        image: str,  # noqa: ARG002
    ) -> list[str]:
        """See `Engine`."""
        engine = component.spec
        options = {
            "--model-id": files.model,
            "--revision": files.revision,
            "--hostname": "$(TANDEM_POD_IP)",
            "--port": names.ENGINE_PORT,
            "--num-shard": engine.tensor_parallel,
            "--max-total-tokens": engine.max_model_len,
            "--quantize": engine.quantization,
            "--max-batch-size": engine.max_num_seqs,
            # It counts what runs, too.
            "--max-concurrent-requests": (engine.max_num_seqs or _MOST_SEQS)
            + service.spec.orchestrator.config.routing.max_waiting,
        }
        written = [f"{option}={value}" for option, value in options.items() if value is not None]
        return [*written, *engine.extra_args]

    def environment(self, service: "LLMService", component: "EngineComponent") -> Environment:  # noqa: ARG002
        """See `Engine`."""
        return {**_ENV, "API_KEY": service.engine_key, "TANDEM_POD_IP": ADDRESS}
